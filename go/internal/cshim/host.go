// SPDX-License-Identifier: BSD-3-Clause

package cshim

/*
#include <errno.h>
#include "zeekzmq.h"

static void host_no_logs(void* ch) { ((zz_channel*)ch)->flags |= ZZ_NODE_NO_LOGS; }
static int host_push(void* p, uint16_t kind, const void* topic, size_t topic_len, const void* format, size_t format_len,
                     const void* payload, size_t payload_len) {
	zz_channel* ch = p;
	if ( ! zz_queue_push(kind == ZZ_LOG ? &ch->logs_out : &ch->events_out, kind, topic, topic_len, format, format_len,
	                     payload, payload_len) )
		return errno;
	zz_waker_wake(&ch->engine_waker);
	return 0;
}
static uint64_t host_queued(void* p, int cls) {
	zz_channel* ch = p;
	return zz_queue_depth(cls == ZZ_CLASS_LOG ? &ch->logs_out : &ch->events_out, cls);
}
static uint64_t host_queued_bytes(void* p, int cls) {
	zz_channel* ch = p;
	return zz_queue_bytes(cls == ZZ_CLASS_LOG ? &ch->logs_out : &ch->events_out);
}
static zz_record* host_next(void* p, zz_record* done) {
	zz_channel* ch = p;
	if ( done )
		zz_queue_consume(&ch->inbox, done);
	return zz_queue_peek(&ch->inbox);
}
static bool host_sleep(void* p) {
	zz_channel* ch = p;
	zz_waker_clear(&ch->host_waker);
	zz_waker_prepare(&ch->host_waker);
	if ( ! zz_queue_peek(&ch->inbox) )
		return true;
	zz_waker_cancel(&ch->host_waker);
	return false;
}
static int host_fd(void* p) { return ((zz_channel*)p)->host_waker.fd; }
*/
import "C"

import (
	"syscall"
	"unsafe"
)

// Below is the host's side of a channel, for hosts in Go: what Zeek's main
// thread does in the plugin. One goroutine at a time may push, another one at a
// time may take from the inbox.

// DisableLogs says that this host neither sends nor receives logs. Before the
// engine starts.
func (c *Channel) DisableLogs() { C.host_no_logs(c.ptr) }

// Push queues an event, a subscription, an unsubscription or a log batch for the
// engine. It copies what it is given. The error is EMSGSIZE for a part that is
// too long (queue.h), or ENOMEM.
func (c *Channel) Push(kind Kind, topic, format string, payload []byte) error {
	rc := C.host_push(c.ptr, C.uint16_t(kind), unsafe.Pointer(unsafe.StringData(topic)), C.size_t(len(topic)),
		unsafe.Pointer(unsafe.StringData(format)), C.size_t(len(format)),
		unsafe.Pointer(unsafe.SliceData(payload)), C.size_t(len(payload)))
	if rc != 0 {
		return syscall.Errno(rc)
	}
	return nil
}

// Queued returns how many records of a kind's class, [Event] or [Log], wait for
// the engine, and how many bytes there are in their queue.
func (c *Channel) Queued(kind Kind) (records, bytes uint64) {
	class := C.int(C.ZZ_CLASS_EVENT)
	if kind == Log {
		class = C.ZZ_CLASS_LOG
	}
	return uint64(C.host_queued(c.ptr, class)), uint64(C.host_queued_bytes(c.ptr, class))
}

// Next takes the record that the previous call returned out of the inbox, if it
// is given, and returns the one after it, or nil.
func (c *Channel) Next(done *Record) *Record {
	return (*Record)(unsafe.Pointer(C.host_next(c.ptr, (*C.zz_record)(unsafe.Pointer(done)))))
}

// Sleep says that the host will sleep until WakeFD is readable. If the inbox
// holds something, it returns false, and the host must not sleep.
func (c *Channel) Sleep() bool { return bool(C.host_sleep(c.ptr)) }

// WakeFD is the descriptor that becomes readable when something has arrived for
// a host that sleeps. It belongs to the channel.
func (c *Channel) WakeFD() int { return int(C.host_fd(c.ptr)) }
