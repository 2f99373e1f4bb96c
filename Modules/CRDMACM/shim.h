#ifndef CRDMACM_SHIM_H
#define CRDMACM_SHIM_H

/* First, so that the names of verbs.h belong to the module CIBVerbs and to no other. */
#include "../CIBVerbs/shim.h"

#include <rdma/rdma_cma.h>

#endif
