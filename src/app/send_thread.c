/* One loop; attempts and cancellations come by mail, in order, so that a cancellation never overtakes its attempt. */
#include "app/send_thread.h"

#include "app/generation.h"
#include "base/mem.h"
#include "io/http_client.h"
#include "io/thread.h"
#include "notify/notify_io.h"

#include <stdatomic.h>

#define INBOX_MAX (1u << 20)

struct send_mail {
    struct mail mail;
    bool cancel;
    uint64_t id;
    struct notify_attempt attempt;
};

struct send_thread {
    struct loop *loop;
    struct thread thread;
    struct mailbox *inbox;
    struct notify_io *io;
    struct send_thread_options o;
    struct buf user_agent;
    atomic_size_t in_flight;
    size_t answered; /* in this turn */
    struct loop_call stop, turn_end;
};

static const struct receiver_env *env_of(struct notify_receivers *r)
{
    return &generation_of(r)->env;
}

static void result(void *arg, struct notify_result *r)
{
    struct send_thread *s = arg;
    s->o.result(s->o.arg, r);
    if (s->answered++ == 0)
        loop_at_turn_end(s->loop, &s->turn_end);
}

static void end_turn(void *arg)
{
    struct send_thread *s = arg;
    if (s->answered == 0)
        return;
    s->o.results_end(s->o.arg);
    atomic_fetch_sub(&s->in_flight, s->answered);
    s->answered = 0;
}

static void deliver(void *arg, struct mail *m)
{
    struct send_thread *s = arg;
    struct send_mail *mail = container_of(m, struct send_mail, mail);
    if (mail->cancel)
        notify_io_cancel(s->io, mail->id);
    else
        notify_io_attempt(s->io, &mail->attempt);
    mem_free(mail);
}

static void run(void *arg)
{
    struct send_thread *s = arg;
    loop_run(s->loop);
    mailbox_close(s->inbox);
    notify_io_free(s->io);
    end_turn(s); /* what was cancelled now */
}

struct send_thread *send_thread_start(const struct send_thread_options *options, struct err *err)
{
    struct send_thread *s = MEM_NEW(struct send_thread);
    s->o = *options;
    s->turn_end = (struct loop_call){ .run = end_turn, .arg = s };
    buf_str(&s->user_agent, options->user_agent);
    s->loop = loop_new("send", options->loop_metrics);
    s->inbox = mailbox_new(s->loop, "send", INBOX_MAX, options->mailbox_metrics, deliver, s);
    s->io = notify_io_new(s->loop, &(struct notify_io_options){ .user_agent = buf_view(&s->user_agent), .env = env_of,
                                                                .result = result, .arg = s });
    metric_registry_add(options->registry, http_client_metric_descs, http_client_metric_descs_count,
                        http_client_stats(notify_io_client(s->io)), NULL, NULL);
    if (thread_start(&s->thread, "send", run, s, err))
        return s;
    mailbox_close(s->inbox);
    notify_io_free(s->io);
    mailbox_free(s->inbox);
    loop_free(s->loop);
    buf_deinit(&s->user_agent);
    mem_free(s);
    return NULL;
}

void send_thread_attempt(struct send_thread *s, const struct notify_attempt *a)
{
    struct send_mail *m = MEM_NEW(struct send_mail);
    m->attempt = *a;
    atomic_fetch_add(&s->in_flight, 1);
    if (mailbox_post_answer(s->inbox, &m->mail)) /* bounded by the groups, each of which waits for its answer */
        return;
    notification_release(m->attempt.n);
    notify_receivers_release(m->attempt.receivers);
    mem_free(m);
    atomic_fetch_sub(&s->in_flight, 1);
}

void send_thread_cancel(struct send_thread *s, uint64_t attempt)
{
    struct send_mail *m = MEM_NEW(struct send_mail);
    m->cancel = true;
    m->id = attempt;
    if (!mailbox_post_answer(s->inbox, &m->mail))
        mem_free(m);
}

size_t send_thread_in_flight(const struct send_thread *s)
{
    return atomic_load(&s->in_flight);
}

static void end_loop(void *arg)
{
    struct send_thread *s = arg;
    loop_stop(s->loop);
}

void send_thread_stop(struct send_thread *s)
{
    if (!s)
        return;
    s->stop = (struct loop_call){ .run = end_loop, .arg = s };
    loop_post(s->loop, &s->stop);
    thread_join(&s->thread);
}

void send_thread_free(struct send_thread *s)
{
    if (!s)
        return;
    mailbox_free(s->inbox);
    loop_free(s->loop);
    buf_deinit(&s->user_agent);
    mem_free(s);
}
