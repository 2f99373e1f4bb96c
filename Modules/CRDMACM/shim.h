#ifndef CRDMACM_SHIM_H
#define CRDMACM_SHIM_H

#include <rdma/rdma_cma.h>

#endif
