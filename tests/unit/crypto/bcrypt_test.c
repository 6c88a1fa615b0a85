#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "crypto/bcrypt.h"

#include <pthread.h>

/* From crypt_blowfish's own tests. */
static const struct {
    const char *hash, *password;
} vectors[] = {
    { "$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW", "U*U" },
    { "$2a$05$CCCCCCCCCCCCCCCCCCCCC.VGOzA784oUp/Z0DY336zx7pLYAy0lwK", "U*U*" },
    { "$2a$05$XXXXXXXXXXXXXXXXXXXXXOAcXxm9kjPGEMsLznoKqmqw7tc8WCx4a", "U*U*U" },
    { "$2b$05$CCCCCCCCCCCCCCCCCCCCC.7uG0VCzI2bS7j6ymqJi9CdcdxiRTWNy", "" },
    { "$2y$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW", "U*U" },
    { "$2a$05$abcdefghijklmnopqrstuu5s2v8.iXieOjg/.AySBTTZIIVFJeBui",
      "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789chars after 72 are ignored" },
};

static void right_passwords_match_and_others_do_not(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(vectors); i++) {
        struct str hash = str_c(vectors[i].hash);
        assert_true(bcrypt_check(hash, str_c(vectors[i].password)));
        assert_false(bcrypt_check(hash, STR("something else")));
        assert_true(bcrypt_is_hash(hash));
        assert_int_equal(bcrypt_cost(hash), 5);
    }
    assert_false(bcrypt_check(str_c(vectors[0].hash), STR("U*U\0")));
}

static void what_is_no_bcrypt_hash_never_matches(void **state)
{
    (void)state;
    const struct str bad[] = {
        STR(""),
        STR("U*U"),
        STR("$1$abcdefgh$irWbblnpmw.5z7wgBnprh0"),
        STR("$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOe"),
        STR("$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeWx"),
        STR("$2a$03$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW"),
        STR("$2a$32$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW"),
        STR("$2q$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW"),
        STR("$2a$0x$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW"),
        STR("$2a$05$CCCCCCCC:CCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW"),
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        assert_false(bcrypt_is_hash(bad[i]));
        assert_false(bcrypt_check(bad[i], STR("U*U")));
    }
}

static void *check_many(void *arg)
{
    for (int i = 0; i < 10; i++)
        for (size_t k = 0; k < 3; k++)
            if (!bcrypt_check(str_c(vectors[k].hash), str_c(vectors[k].password)))
                *(bool *)arg = true;
    return NULL;
}

static void threads_do_not_disturb_each_other(void **state)
{
    (void)state;
    pthread_t threads[3];
    bool failed[3] = { false };
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, check_many, &failed[i]), 0);
    for (size_t i = 0; i < 3; i++) {
        pthread_join(threads[i], NULL);
        assert_false(failed[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(right_passwords_match_and_others_do_not),
        cmocka_unit_test(what_is_no_bcrypt_hash_never_matches),
        cmocka_unit_test(threads_do_not_disturb_each_other),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
