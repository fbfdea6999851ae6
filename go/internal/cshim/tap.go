// SPDX-License-Identifier: BSD-3-Clause

package cshim

/*
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <zmq.h>

// What is kept of a message. Its parts follow, cut to these lengths.
typedef struct {
	uint64_t bytes; // of all parts, uncut
	uint32_t parts;
	uint16_t len[4];
	uint16_t cut; // bit i: part i is longer than what is kept
	uint16_t pad;
} tap_entry;

enum { TAP_TEXT = 255, TAP_HEAD = 512, TAP_ENTRY = sizeof(tap_entry) + 3 * 255 + 512 + 8 };

// Receives up to max messages, as long as another has room in buf.
static int tap_recv(void* s, uint8_t* buf, size_t cap, uint32_t max, uint32_t* n, size_t* used) {
	*n = 0;
	*used = 0;
	while ( *n < max && cap - *used >= TAP_ENTRY ) {
		tap_entry e = {0};
		uint8_t* at = buf + *used + sizeof(e);
		int more = 1;
		while ( more ) {
			zmq_msg_t m;
			zmq_msg_init(&m);
			if ( zmq_msg_recv(&m, s, ZMQ_DONTWAIT) < 0 ) {
				int err = zmq_errno();
				zmq_msg_close(&m);
				if ( err == EINTR )
					continue;
				return err == EAGAIN ? 0 : err;
			}
			size_t size = zmq_msg_size(&m);
			e.bytes += size;
			if ( e.parts < 4 ) {
				size_t limit = e.parts == 3 ? TAP_HEAD : TAP_TEXT;
				size_t keep = size < limit ? size : limit;
				if ( keep < size )
					e.cut |= 1 << e.parts;
				memcpy(at, zmq_msg_data(&m), keep);
				at += keep;
				e.len[e.parts] = keep;
			}
			e.parts++;
			more = zmq_msg_more(&m);
			zmq_msg_close(&m);
		}
		memcpy(buf + *used, &e, sizeof(e));
		*used += ((size_t)(at - (buf + *used)) + 7) & ~(size_t)7;
		++*n;
	}
	return 0;
}
*/
import "C"

import "unsafe"

// Tapped is what [Tap.Recv] keeps of a message. Its slices are valid until the
// next call.
type Tapped struct {
	Topic, Sender, Format []byte // up to 255 bytes of each
	Head                  []byte // up to 512 bytes of the payload
	Whole                 bool   // Head is all of it, and nothing else was cut
	Parts                 int    // 4, unless the message is malformed
	Bytes                 uint64 // of all parts
}

// Tap receives messages to be counted, many with a call, at less cost than any
// sender has. It belongs to the goroutine of its socket.
type Tap struct {
	socket *Socket
	buf    unsafe.Pointer
	n      *C.uint32_t
	used   *C.size_t
}

const (
	tapBuffer = 256 << 10
	tapBatch  = 256
)

// NewTap makes a tap on a socket that receives events.
func NewTap(s *Socket) *Tap {
	return &Tap{s, C.malloc(tapBuffer), (*C.uint32_t)(C.calloc(1, C.sizeof_uint32_t)), (*C.size_t)(C.calloc(1, C.sizeof_size_t))}
}

// Recv calls f with the messages that have arrived, up to a batch, and says how
// many there were. It does not wait.
func (t *Tap) Recv(f func(*Tapped)) (int, error) {
	rc := C.tap_recv(t.socket.ptr, (*C.uint8_t)(t.buf), tapBuffer, tapBatch, t.n, t.used)
	rest := unsafe.Slice((*byte)(t.buf), int(*t.used))
	for len(rest) > 0 {
		e := (*C.tap_entry)(unsafe.Pointer(&rest[0]))
		at := int(unsafe.Sizeof(*e))
		part := func(i int) []byte {
			n := int(e.len[i])
			at += n
			return rest[at-n : at : at]
		}
		f(&Tapped{Topic: part(0), Sender: part(1), Format: part(2), Head: part(3), Whole: e.cut == 0, Parts: int(e.parts), Bytes: uint64(e.bytes)})
		rest = rest[min((at+7)&^7, len(rest)):]
	}
	return int(*t.n), errno(rc)
}

// Close frees the tap, not its socket.
func (t *Tap) Close() {
	C.free(t.buf)
	C.free(unsafe.Pointer(t.n))
	C.free(unsafe.Pointer(t.used))
}
