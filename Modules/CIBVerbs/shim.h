#ifndef CIBVERBS_SHIM_H
#define CIBVERBS_SHIM_H

#include <infiniband/verbs.h>

/* In verbs.h ibv_query_port is a macro over an inline function that Swift cannot see through: by name it would
   reach the old ABI symbol, which fills a shorter struct. */
static inline int cibverbs_query_port(struct ibv_context *context, uint8_t port, struct ibv_port_attr *attributes)
{
    return ibv_query_port(context, port, attributes);
}

/* ibv_reg_mr is a macro that checks the optional access flags; the bare symbol would skip the check. */
static inline struct ibv_mr *cibverbs_reg_mr(struct ibv_pd *domain, void *address, size_t length, int access)
{
    return ibv_reg_mr(domain, address, length, access);
}

#endif
