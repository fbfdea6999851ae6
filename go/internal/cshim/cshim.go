// SPDX-License-Identifier: BSD-3-Clause

// Package cshim is the engine's side of the C boundary: the queues of a
// channel, batches between them and libzmq's sockets, and the sockets
// themselves. It is the one package that knows C types; to the others, memory
// that belongs to C is behind its methods.
//
// A Socket, and all that sends or receives on it, belongs to one goroutine at a
// time. Nothing here blocks but [Poller.Wait], up to its timeout, and
// [Context.Term].
package cshim

/*
#cgo CFLAGS: -std=gnu11 -O2 -Wall -Wextra
#cgo pkg-config: libzmq
#include <stdlib.h>
#include "batch.h"

static zz_queue* ch_events_out(void* ch) { return &((zz_channel*)ch)->events_out; }
static zz_queue* ch_logs_out(void* ch) { return &((zz_channel*)ch)->logs_out; }
static zz_queue* ch_inbox(void* ch) { return &((zz_channel*)ch)->inbox; }
static zz_waker* ch_engine_waker(void* ch) { return &((zz_channel*)ch)->engine_waker; }
static zz_waker* ch_host_waker(void* ch) { return &((zz_channel*)ch)->host_waker; }
static uint32_t ch_flags(void* ch) { return ((zz_channel*)ch)->flags; }
static bool ch_stopping(void* ch) { return atomic_load(&((zz_channel*)ch)->stopping) != 0; }
static void ch_stop(void* ch) {
	zz_channel* c = ch;
	atomic_store(&c->stopping, 1);
	// Whether it waits or not: a stop must not be missed.
	atomic_store(&c->engine_waker.waiting, 1);
	zz_waker_wake(&c->engine_waker);
}
static void* ch_new(void) {
	zz_counters* counters = calloc(1, sizeof(*counters));
	zz_channel* ch = counters ? zz_channel_new(counters) : NULL;
	if ( ! ch )
		free(counters);
	return ch;
}
static void ch_free(void* ch) {
	zz_counters* counters = ((zz_channel*)ch)->counters;
	zz_channel_free(ch);
	free(counters);
}
*/
import "C"

import (
	"sync/atomic"
	"syscall"
	"unsafe"
)

// ABIVersion is the version of the boundary that this library speaks.
const ABIVersion = uint32(C.ZEEKZMQ_ABI_VERSION)

// Result is a zeekzmq_result.
type Result int32

// The results of exported calls; zeekzmq.h says what each means.
const (
	OK        Result = C.ZEEKZMQ_OK
	EOption   Result = C.ZEEKZMQ_EOPTION
	EEndpoint Result = C.ZEEKZMQ_EENDPOINT
	ESystem   Result = C.ZEEKZMQ_ESYSTEM
	EHandle   Result = C.ZEEKZMQ_EHANDLE
	ETimeout  Result = C.ZEEKZMQ_ETIMEOUT
	EPanic    Result = C.ZEEKZMQ_EPANIC
)

// Kind says what a record is.
type Kind uint16

// The kinds of records, as in queue.h.
const (
	Skip           Kind = C.ZZ_SKIP
	Event          Kind = C.ZZ_EVENT
	Log            Kind = C.ZZ_LOG
	Subscribe      Kind = C.ZZ_SUBSCRIBE
	Unsubscribe    Kind = C.ZZ_UNSUBSCRIBE
	Subscription   Kind = C.ZZ_SUBSCRIPTION
	Unsubscription Kind = C.ZZ_UNSUBSCRIPTION
	Monitor        Kind = C.ZZ_MONITOR
	Warning        Kind = C.ZZ_WARNING
	Error          Kind = C.ZZ_ERROR
	Fatal          Kind = C.ZZ_FATAL
	Drops          Kind = C.ZZ_DROPS
)

// Record is a record in C memory, laid out as zz_record. It is valid until it
// is consumed; its slices must not be kept.
type Record struct {
	size       uint32
	Kind       Kind
	formatLen  uint16
	topicLen   uint32
	payloadLen uint32
}

func (r *Record) bodies(skip, n uint32) []byte {
	return unsafe.Slice((*byte)(unsafe.Add(unsafe.Pointer(r), unsafe.Sizeof(*r)+uintptr(skip))), n)
}

// Topic returns the record's topic.
func (r *Record) Topic() []byte { return r.bodies(0, r.topicLen) }

// Format returns the name of the serialization format.
func (r *Record) Format() []byte { return r.bodies(r.topicLen, uint32(r.formatLen)) }

// Payload returns the payload.
func (r *Record) Payload() []byte { return r.bodies(r.topicLen+uint32(r.formatLen), r.payloadLen) }

// Counters are a channel's counters, laid out as zz_counters.
type Counters struct {
	XPubDrops, OnloopDrops, MsgErrors atomic.Uint64
	InvalidEvents, InvalidLogs        atomic.Uint64
	LogDrops, QueueDrops, QueueBlocks atomic.Uint64
	EventsSent, EventsReceived        atomic.Uint64
	LogsSent, LogsReceived            atomic.Uint64
	LogsSpilled, LogsResent           atomic.Uint64
	PublishBlocks                     atomic.Uint64
}

// BrokerStats are a broker's counters, laid out as zz_broker_stats.
type BrokerStats struct {
	FrontendMessagesReceived, FrontendBytesReceived atomic.Uint64
	FrontendMessagesSent, FrontendBytesSent         atomic.Uint64
	BackendMessagesReceived, BackendBytesReceived   atomic.Uint64
	BackendMessagesSent, BackendBytesSent           atomic.Uint64

	tell unsafe.Pointer
}

// Tell says that the broker failed, if the host wants to know.
func (s *BrokerStats) Tell(text string) {
	if s.tell != nil {
		ChannelAt(s.tell).Tell(Fatal, text)
	}
}

// The layouts are C's: a change there must fail to compile here.
var (
	_ [unsafe.Sizeof(Record{}) - C.sizeof_zz_record]struct{}
	_ [C.sizeof_zz_record - unsafe.Sizeof(Record{})]struct{}
	_ [unsafe.Sizeof(Label{}) - C.sizeof_zz_label]struct{}
	_ [C.sizeof_zz_label - unsafe.Sizeof(Label{})]struct{}
	_ [unsafe.Sizeof(Counters{}) - C.sizeof_zz_counters]struct{}
	_ [C.sizeof_zz_counters - unsafe.Sizeof(Counters{})]struct{}
	_ [unsafe.Sizeof(BrokerStats{}) - C.sizeof_zz_broker_stats]struct{}
	_ [C.sizeof_zz_broker_stats - unsafe.Sizeof(BrokerStats{})]struct{}
)

// Channel is a zz_channel.
type Channel struct {
	ptr      unsafe.Pointer
	Counters *Counters
}

// ChannelAt returns the channel that a host made at ptr.
func ChannelAt(ptr unsafe.Pointer) *Channel {
	return &Channel{ptr, (*Counters)(unsafe.Pointer((*C.zz_channel)(ptr).counters))}
}

// NewChannel makes a channel for a host in Go. Free it once no engine uses it.
func NewChannel() (*Channel, error) {
	ptr, err := C.ch_new()
	if ptr == nil {
		return nil, err
	}
	return ChannelAt(ptr), nil
}

// Free frees a channel of [NewChannel].
func (c *Channel) Free() { C.ch_free(c.ptr) }

// NoLogs says that the host neither sends nor receives logs.
func (c *Channel) NoLogs() bool { return C.ch_flags(c.ptr)&C.ZZ_NODE_NO_LOGS != 0 }

// NoMonitor says that the host has no use for monitoring events.
func (c *Channel) NoMonitor() bool { return C.ch_flags(c.ptr)&C.ZZ_NODE_NO_MONITOR != 0 }

// Stop asks the engine to flush and end. Any goroutine.
func (c *Channel) Stop() { C.ch_stop(c.ptr) }

// Stopping says that Stop was called.
func (c *Channel) Stopping() bool { return bool(C.ch_stopping(c.ptr)) }

// Tell puts a line for the operator into the inbox. The engine's goroutine only.
func (c *Channel) Tell(kind Kind, text string) {
	p := unsafe.Pointer(unsafe.StringData(text))
	if C.zz_queue_push(C.ch_inbox(c.ptr), C.uint16_t(kind), nil, 0, nil, 0, p, C.size_t(len(text))) {
		C.zz_waker_wake(C.ch_host_waker(c.ptr))
	}
}

// TellDrops tells the host how many messages were dropped: n is a uint64 in host
// byte order. The engine's goroutine only.
func (c *Channel) TellDrops(reason, topic string, n []byte) {
	t, f := unsafe.Pointer(unsafe.StringData(topic)), unsafe.Pointer(unsafe.StringData(reason))
	if C.zz_queue_push(C.ch_inbox(c.ptr), C.ZZ_DROPS, t, C.size_t(len(topic)), f, C.size_t(len(reason)),
		unsafe.Pointer(&n[0]), C.size_t(len(n))) {
		C.zz_waker_wake(C.ch_host_waker(c.ptr))
	}
}

// Monitoring events, see zmq_socket_monitor(3).
const (
	EventConnected               = C.ZMQ_EVENT_CONNECTED
	EventConnectRetried          = C.ZMQ_EVENT_CONNECT_RETRIED
	EventDisconnected            = C.ZMQ_EVENT_DISCONNECTED
	EventHandshakeFailedNoDetail = C.ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL
	EventHandshakeSucceeded      = C.ZMQ_EVENT_HANDSHAKE_SUCCEEDED
	EventHandshakeFailedProtocol = C.ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL
	EventHandshakeFailedAuth     = C.ZMQ_EVENT_HANDSHAKE_FAILED_AUTH
)

// TellMonitor tells the host a monitoring event. The
// engine's goroutine only.
func (c *Channel) TellMonitor(event, value uint32, endpoint string) {
	pair := [2]uint32{event, value}
	if C.zz_queue_push(C.ch_inbox(c.ptr), C.ZZ_MONITOR, unsafe.Pointer(unsafe.StringData(endpoint)), C.size_t(len(endpoint)),
		nil, 0, unsafe.Pointer(&pair), C.sizeof_uint64_t) {
		C.zz_waker_wake(C.ch_host_waker(c.ptr))
	}
}

// Pending says whether anything waits in the outbound queues. The engine's
// goroutine only.
func (c *Channel) Pending() bool {
	return C.zz_queue_peek(C.ch_events_out(c.ptr)) != nil || C.zz_queue_peek(C.ch_logs_out(c.ptr)) != nil
}

// InboxEvents is how many events the host has not taken yet.
func (c *Channel) InboxEvents() uint64 {
	return uint64(C.zz_queue_depth(C.ch_inbox(c.ptr), C.ZZ_CLASS_EVENT))
}

// Sent is what a send call did.
type Sent struct {
	Sent     int  // messages
	Controls int  // subscriptions and unsubscriptions
	Blocked  bool // the oldest message met the high-water mark, and is still queued
	More     bool // the call's bound was reached
}

func sentOf(r *C.zz_send_result) Sent {
	return Sent{int(r.sent), int(r.controls), bool(r.blocked), bool(r.more)}
}

// Sender sends a channel's outbound queues.
type Sender struct {
	ch *Channel
	c  *C.zz_sender
	r  *C.zz_send_result
}

// NewSender makes a sender that signs with nodeID.
func NewSender(ch *Channel, nodeID string) (*Sender, error) {
	s := &Sender{ch, (*C.zz_sender)(C.calloc(1, C.sizeof_zz_sender)), (*C.zz_send_result)(C.calloc(1, C.sizeof_zz_send_result))}
	if rc := C.zz_sender_init(s.c, unsafe.Pointer(unsafe.StringData(nodeID)), C.size_t(len(nodeID))); rc != 0 {
		C.free(unsafe.Pointer(s.c))
		C.free(unsafe.Pointer(s.r))
		return nil, syscall.Errno(rc)
	}
	return s, nil
}

// Close frees the sender.
func (s *Sender) Close() {
	C.zz_sender_close(s.c)
	C.free(unsafe.Pointer(s.c))
	C.free(unsafe.Pointer(s.r))
}

// Events sends up to max queued events and subscription changes.
func (s *Sender) Events(xpub, xsub *Socket, max int) (Sent, error) {
	rc := C.zz_send_events(C.ch_events_out(s.ch.ptr), xpub.ptr, xsub.ptr, s.c, C.uint32_t(max), s.r)
	return sentOf(s.r), errno(rc)
}

// Logs sends up to max queued log batches.
func (s *Sender) Logs(push *Socket, max int) (Sent, error) {
	rc := C.zz_send_logs(C.ch_logs_out(s.ch.ptr), push.ptr, s.c, C.uint32_t(max), s.r)
	return sentOf(s.r), errno(rc)
}

// Log sends a log batch that is in no queue: [ErrAgain] at the high-water mark.
func (s *Sender) Log(push *Socket, format, payload []byte) error {
	return errno(C.zz_send_log(push.ptr, s.c, unsafe.Pointer(unsafe.SliceData(format)), C.size_t(len(format)),
		unsafe.Pointer(unsafe.SliceData(payload)), C.size_t(len(payload))))
}

// OldestEvent returns the oldest record that Events would send, or nil.
func (s *Sender) OldestEvent() *Record {
	return (*Record)(unsafe.Pointer(C.zz_queue_peek(C.ch_events_out(s.ch.ptr))))
}

// OldestLog returns the oldest record that Logs would send, or nil.
func (s *Sender) OldestLog() *Record {
	return (*Record)(unsafe.Pointer(C.zz_queue_peek(C.ch_logs_out(s.ch.ptr))))
}

// DropEvent takes the record of OldestEvent out of its queue.
func (s *Sender) DropEvent(r *Record) {
	C.zz_queue_consume(C.ch_events_out(s.ch.ptr), (*C.zz_record)(unsafe.Pointer(r)))
}

// DropLog takes the record of OldestLog out of its queue.
func (s *Sender) DropLog(r *Record) {
	C.zz_queue_consume(C.ch_logs_out(s.ch.ptr), (*C.zz_record)(unsafe.Pointer(r)))
}

// Limits bound what a receive call takes.
type Limits struct {
	Max         int    // messages; at most [BatchMax]
	Depth       uint64 // events in the inbox; 0: no bound
	Bytes       uint64 // bytes in the inbox; 0: no bound
	WaitForRoom bool   // at Depth, leave events on the socket instead of dropping them
}

// BatchMax is the most that one receive call takes.
const BatchMax = int(C.ZZ_BATCH_MAX)

// Received is what a receive call did.
type Received struct {
	Taken    int  // messages taken off the socket
	Dropped  int  // events, at Limits.Depth
	Errors   int  // messages of the wrong shape
	BadParts int  // the last of these had so many parts
	Full     bool // stopped at a bound of the inbox
	More     bool // stopped at Limits.Max
	Records  []*Record
	Topics   []Label // of the events dropped; valid until the next call
}

// Label is a topic, cut to what a metric's label needs. Laid out as zz_label.
type Label struct {
	len  uint8
	text [63]byte
}

// Bytes returns the topic's first 63 bytes.
func (l *Label) Bytes() []byte { return l.text[:l.len] }

// Receiver receives into a channel's inbox. Between a receive call and
// [Receiver.Commit] the host does not see the records.
type Receiver struct {
	ch   *Channel
	c    *C.zz_recv
	self unsafe.Pointer
}

// NewReceiver makes a receiver that ignores messages from nodeID.
func NewReceiver(ch *Channel, nodeID string) *Receiver {
	r := &Receiver{ch, (*C.zz_recv)(C.calloc(1, C.sizeof_zz_recv)), C.CBytes([]byte(nodeID))}
	r.c.self = (*C.uint8_t)(r.self)
	r.c.self_len = C.size_t(len(nodeID))
	return r
}

// Close frees the receiver.
func (r *Receiver) Close() {
	C.free(r.self)
	C.free(unsafe.Pointer(r.c))
}

func (r *Receiver) limit(l Limits) {
	r.c.max = C.uint32_t(l.Max)
	r.c.depth_max = C.uint64_t(l.Depth)
	r.c.bytes_max = C.uint64_t(l.Bytes)
	r.c.wait_for_room = C.bool(l.WaitForRoom)
}

func (r *Receiver) received() Received {
	c := r.c
	return Received{int(c.taken), int(c.dropped), int(c.errors), int(c.bad_parts), bool(c.full), bool(c.more),
		unsafe.Slice((**Record)(unsafe.Pointer(&c.records[0])), int(c.n)),
		unsafe.Slice((*Label)(unsafe.Pointer(&c.dropped_topics[0])), int(c.dropped))}
}

// Events receives events from an XSUB.
func (r *Receiver) Events(xsub *Socket, l Limits) (Received, error) {
	r.limit(l)
	rc := C.zz_recv_events(xsub.ptr, C.ch_inbox(r.ch.ptr), r.c)
	return r.received(), errno(rc)
}

// Logs receives log batches from a PULL.
func (r *Receiver) Logs(pull *Socket, l Limits) (Received, error) {
	r.limit(l)
	rc := C.zz_recv_logs(pull.ptr, C.ch_inbox(r.ch.ptr), r.c)
	return r.received(), errno(rc)
}

// Subscriptions receives subscription changes from an XPUB.
func (r *Receiver) Subscriptions(xpub *Socket, l Limits) (Received, error) {
	r.limit(l)
	rc := C.zz_recv_subscriptions(xpub.ptr, C.ch_inbox(r.ch.ptr), r.c)
	return r.received(), errno(rc)
}

// Monitor receives a socket monitor's events from its PAIR.
func (r *Receiver) Monitor(pair *Socket, l Limits) (Received, error) {
	r.limit(l)
	rc := C.zz_recv_monitor(pair.ptr, C.ch_inbox(r.ch.ptr), r.c)
	return r.received(), errno(rc)
}

// Reject takes back a record that was received and not yet committed.
func (r *Receiver) Reject(rec *Record) {
	C.zz_queue_skip(C.ch_inbox(r.ch.ptr), (*C.zz_record)(unsafe.Pointer(rec)))
}

// RejectAll takes back everything that was received and not yet committed.
func (r *Receiver) RejectAll() {
	for _, rec := range r.received().Records {
		r.Reject(rec)
	}
	r.c.n = 0
}

// Commit hands what was received to the host, and wakes it if it sleeps.
func (r *Receiver) Commit() {
	r.c.n = 0
	C.zz_inbox_commit(C.ch_inbox(r.ch.ptr), C.ch_host_waker(r.ch.ptr))
}

func (c *Channel) engineWaker() *C.zz_waker { return C.ch_engine_waker(c.ptr) }
func (c *Channel) eventsOut() *C.zz_queue   { return C.ch_events_out(c.ptr) }
func (c *Channel) logsOut() *C.zz_queue     { return C.ch_logs_out(c.ptr) }
