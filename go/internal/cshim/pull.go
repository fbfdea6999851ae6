// SPDX-License-Identifier: BSD-3-Clause

package cshim

/*
#include <stdlib.h>
#include <zmq.h>

static int sock_unbind(void* s, const char* e) { return zmq_unbind(s, e) ? zmq_errno() : 0; }
*/
import "C"

import "unsafe"

// Unbind stops listening on an endpoint of [Socket.LastEndpoint] and ends the
// connections made to it. What has arrived can still be received.
func (s *Socket) Unbind(endpoint string) error {
	e := C.CString(endpoint)
	defer C.free(unsafe.Pointer(e))
	return errno(C.sock_unbind(s.ptr, e))
}
