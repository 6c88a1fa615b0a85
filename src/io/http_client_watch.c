/* libcurl's sockets on the loop.
 *
 * libcurl lets go of a socket when its request has been answered, and asks for it again with the next one. Taking it out of
 * epoll and putting it in again is six system calls per request, so a connection's socket stays where it is:
 *
 *   OPENED --IN, OUT--> WANTED --REMOVE--> IDLE --IN, OUT--> WANTED
 *                                           |  it is ready: the server closed it, or spoke out of turn
 *                                           v
 *                                        OPENED        libcurl sees what happened when it looks at the connection again
 *   any --closed--> (forgotten)
 *
 * W1  A descriptor is forgotten before it is closed, or libuv would watch whatever gets its number next. libcurl closes some
 *     by itself and tells us later (the address that lost a race) or was never told how to open them (its resolver's pipe):
 *     only what is still the socket that was opened, by the kernel's cookie, becomes IDLE. Once it has been, it belongs to
 *     a connection, which libcurl closes through us. */
#include "io/http_client_int.h"

#include "base/mem.h"

#include <sys/socket.h>
#include <unistd.h>

struct watch {
    struct http_client *client;
    curl_socket_t fd;
    uint64_t cookie;        /* of the socket that was opened for a connection; 0: another descriptor */
    bool connected;         /* it was looked at: libcurl will not close it without telling */
    struct loop_poll *poll; /* NULL: OPENED */
    unsigned events;        /* that the loop looks for */
    bool idle;
};

static uint64_t key_of(curl_socket_t fd)
{
    return (uint64_t)fd + 1;
}

static uint64_t cookie_of(curl_socket_t fd)
{
    uint64_t cookie = 0;
    socklen_t n = sizeof cookie;
    return getsockopt(fd, SOL_SOCKET, SO_COOKIE, &cookie, &n) == 0 ? cookie : 0;
}

static struct watch *watch_new(struct http_client *c, curl_socket_t fd)
{
    struct watch *w = MEM_NEW(struct watch);
    w->client = c;
    w->fd = fd;
    (void)map64_put(&c->watches, key_of(fd), w);
    return w;
}

static void stop_looking(struct watch *w)
{
    loop_poll_free(w->poll);
    w->poll = NULL;
    w->events = 0;
}

static void forget(struct http_client *c, curl_socket_t fd)
{
    struct watch *w = map64_remove(&c->watches, key_of(fd));
    if (!w)
        return;
    stop_looking(w);
    mem_free(w);
}

void http_watch_open(struct http_client *c, curl_socket_t fd)
{
    forget(c, fd); /* what had its number before */
    watch_new(c, fd)->cookie = cookie_of(fd);
}

int http_watch_close(void *client, curl_socket_t fd)
{
    forget(client, fd);
    return close(fd);
}

static void on_ready(void *arg, unsigned events)
{
    struct watch *w = arg;
    int e = 0;
    if (w->idle) {
        stop_looking(w);
        return;
    }
    if (events & LOOP_READ)
        e |= CURL_CSELECT_IN;
    if (events & LOOP_WRITE)
        e |= CURL_CSELECT_OUT;
    if (events & LOOP_HANGUP)
        e |= CURL_CSELECT_ERR;
    http_client_socket_action(w->client, w->fd, e);
}

static void look_for(struct watch *w, unsigned events)
{
    if (!w->poll)
        w->poll = loop_poll_new(w->client->loop, w->fd, on_ready, w);
    if (w->events == events)
        return;
    w->events = events;
    loop_poll_set(w->poll, events);
}

int http_watch_change(CURL *easy, curl_socket_t fd, int what, void *client, void *socket_arg)
{
    struct http_client *c = client;
    (void)easy;
    (void)socket_arg;
    struct watch *w = map64_get(&c->watches, key_of(fd));
    if (what == CURL_POLL_REMOVE) {
        if (w && (w->connected || (w->cookie && w->cookie == cookie_of(fd)))) {
            w->connected = w->idle = true;
            look_for(w, LOOP_READ);
        } else {
            forget(c, fd);
        }
        return 0;
    }
    if (!w)
        w = watch_new(c, fd);
    unsigned events = 0;
    if (what == CURL_POLL_IN || what == CURL_POLL_INOUT)
        events |= LOOP_READ;
    if (what == CURL_POLL_OUT || what == CURL_POLL_INOUT)
        events |= LOOP_WRITE;
    w->idle = false;
    look_for(w, events);
    return 0;
}

void http_watches_free(struct http_client *c)
{
    size_t cursor = 0;
    struct watch *w;
    while ((w = map64_next(&c->watches, &cursor)) != NULL) { /* of sockets that libcurl closed by itself */
        stop_looking(w);
        mem_free(w);
    }
    map64_deinit(&c->watches);
}
