/* pthread locks whose failures are bugs: every error code is asserted away. */
#include "base/lock.h"

#include "base/compiler.h"

void lock_init(struct lock *l)
{
    int rc = pthread_mutex_init(&l->m, NULL);
    ASSERT(rc == 0);
}

void lock_deinit(struct lock *l)
{
    int rc = pthread_mutex_destroy(&l->m);
    ASSERT(rc == 0);
}

void lock_take(struct lock *l)
{
    int rc = pthread_mutex_lock(&l->m);
    ASSERT(rc == 0);
}

void lock_give(struct lock *l)
{
    int rc = pthread_mutex_unlock(&l->m);
    ASSERT(rc == 0);
}

void rwlock_init(struct rwlock *l)
{
    int rc = pthread_rwlock_init(&l->l, NULL);
    ASSERT(rc == 0);
}

void rwlock_deinit(struct rwlock *l)
{
    int rc = pthread_rwlock_destroy(&l->l);
    ASSERT(rc == 0);
}

void rwlock_take_read(struct rwlock *l)
{
    int rc = pthread_rwlock_rdlock(&l->l);
    ASSERT(rc == 0);
}

void rwlock_give_read(struct rwlock *l)
{
    int rc = pthread_rwlock_unlock(&l->l);
    ASSERT(rc == 0);
}

void rwlock_take_write(struct rwlock *l)
{
    int rc = pthread_rwlock_wrlock(&l->l);
    ASSERT(rc == 0);
}

void rwlock_give_write(struct rwlock *l)
{
    int rc = pthread_rwlock_unlock(&l->l);
    ASSERT(rc == 0);
}
