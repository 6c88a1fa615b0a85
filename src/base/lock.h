/* Locks, for the few places that have them (tsdb/, io/, metric vectors). A lock's comment says what it guards and its
 * rank: a thread takes locks in rising rank only. */
#ifndef TOCSIN_BASE_LOCK_H
#define TOCSIN_BASE_LOCK_H

#include <pthread.h>

struct lock {
    pthread_mutex_t m;
};
struct rwlock {
    pthread_rwlock_t l;
};
#define LOCK_INIT { PTHREAD_MUTEX_INITIALIZER }

void lock_init(struct lock *l);
void lock_deinit(struct lock *l);
void lock_take(struct lock *l);
void lock_give(struct lock *l);
void rwlock_init(struct rwlock *l);
void rwlock_deinit(struct rwlock *l);
void rwlock_take_read(struct rwlock *l);
void rwlock_give_read(struct rwlock *l);
void rwlock_take_write(struct rwlock *l);
void rwlock_give_write(struct rwlock *l);

#endif
