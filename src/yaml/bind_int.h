/* Shared by the binder's files. */
#ifndef TOCSIN_YAML_BIND_INT_H
#define TOCSIN_YAML_BIND_INT_H

#include "yaml/bind.h"

/* The value of a field inside its object. */
static inline void *bind_at(const struct bind *f, void *object)
{
    return (char *)object + f->offset;
}
static inline const void *bind_at_const(const struct bind *f, const void *object)
{
    return (const char *)object + f->offset;
}
static inline size_t *bind_count_at(const struct bind *f, void *object)
{
    return (size_t *)(void *)((char *)object + f->count_offset);
}
static inline size_t bind_count_of(const struct bind *f, const void *object)
{
    return *(const size_t *)(const void *)((const char *)object + f->count_offset);
}
/* Lists of structs keep their elements behind one pointer, whatever its type. */
static inline void *bind_pointer_of(const struct bind *f, const void *object)
{
    void *p;
    memcpy(&p, bind_at_const(f, object), sizeof p);
    return p;
}
static inline void bind_pointer_set(const struct bind *f, void *object, void *p)
{
    memcpy(bind_at(f, object), &p, sizeof p);
}

bool bind_field_is_zero(const struct bind *f, const void *object);

#endif
