// SPDX-License-Identifier: BSD-3-Clause

package cshim

/*
#include <stdlib.h>
#include <zmq.h>

static int sock_unbind(void* s, const char* e) { return zmq_unbind(s, e) ? zmq_errno() : 0; }

// Messages received in one call, with what Go wants to know of them.
enum { PULLED_MAX = 64, PULLED_PARTS = 4, PULLED_BYTES = 4 << 20 };

typedef struct pulled {
	uint32_t parts; // how many the message had, also if more than PULLED_PARTS
	zmq_msg_t msg[PULLED_PARTS];
	void* data[PULLED_PARTS];
	size_t size[PULLED_PARTS];
} pulled;

typedef struct puller {
	void* socket;
	uint32_t n;
	pulled messages[PULLED_MAX];
} puller;

static puller* puller_new(void* socket) {
	puller* p = calloc(1, sizeof(*p));
	if ( p ) {
		p->socket = socket;
		for ( int i = 0; i < PULLED_MAX; i++ )
			for ( int k = 0; k < PULLED_PARTS; k++ )
				zmq_msg_init(&p->messages[i].msg[k]);
	}
	return p;
}

// Frees what the messages of the last call hold, which may be a lot.
static void puller_clear(puller* p) {
	for ( uint32_t i = 0; i < p->n; i++ )
		for ( int k = 0; k < PULLED_PARTS; k++ ) {
			zmq_msg_close(&p->messages[i].msg[k]);
			zmq_msg_init(&p->messages[i].msg[k]);
		}
	p->n = 0;
}

static void puller_free(puller* p) {
	puller_clear(p);
	free(p);
}

// libzmq hands over whole messages: after the first part, none has to be waited for.
static int puller_recv(puller* p) {
	puller_clear(p);
	size_t bytes = 0;
	while ( p->n < PULLED_MAX && bytes < PULLED_BYTES ) {
		pulled* m = &p->messages[p->n];
		m->parts = 0;
		for ( int more = 1; more; ) {
			const int k = m->parts < PULLED_PARTS ? m->parts : PULLED_PARTS - 1;
			int rc;
			do {
				rc = zmq_msg_recv(&m->msg[k], p->socket, ZMQ_DONTWAIT);
			} while ( rc < 0 && zmq_errno() == EINTR );
			if ( rc < 0 )
				return zmq_errno() == EAGAIN && p->n > 0 ? 0 : zmq_errno();
			m->data[k] = zmq_msg_data(&m->msg[k]);
			m->size[k] = zmq_msg_size(&m->msg[k]);
			bytes += m->size[k];
			m->parts++;
			more = zmq_msg_more(&m->msg[k]);
		}
		p->n++;
	}
	return 0;
}
*/
import "C"

import "unsafe"

// Unbind stops listening on an endpoint of [Socket.LastEndpoint] and ends the
// connections made to it. What libzmq has received can still be taken; what the
// kernel has, cannot.
func (s *Socket) Unbind(endpoint string) error {
	e := C.CString(endpoint)
	defer C.free(unsafe.Pointer(e))
	return errno(C.sock_unbind(s.ptr, e))
}

// PullParts is how many parts of a message a [Puller] keeps.
const PullParts = C.PULLED_PARTS

// Puller receives many messages with one call into C. Its goroutine is that of
// the socket.
type Puller struct {
	c     *C.puller
	parts [PullParts][]byte
}

// NewPuller makes a puller for a socket.
func NewPuller(s *Socket) *Puller { return &Puller{c: C.puller_new(s.ptr)} }

// Recv takes messages, not waiting for any, and returns how many: [ErrAgain] if
// there are none.
func (p *Puller) Recv() (n int, err error) {
	err = errno(C.puller_recv(p.c))
	return int(p.c.n), err
}

// Message returns a message of the last Recv: how many parts it had, and the
// first of them. They are libzmq's memory, until the next Recv or Close.
func (p *Puller) Message(i int) (count int, parts [][]byte) {
	m := &p.c.messages[i]
	n := min(int(m.parts), PullParts)
	for k := range n {
		p.parts[k] = unsafe.Slice((*byte)(m.data[k]), m.size[k])
	}
	return int(m.parts), p.parts[:n]
}

// Close frees the puller, not its socket.
func (p *Puller) Close() { C.puller_free(p.c) }
