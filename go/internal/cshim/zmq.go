// SPDX-License-Identifier: BSD-3-Clause

package cshim

/*
#include <stdlib.h>
#include <sys/prctl.h>
#include "batch.h"
#include "plain.h"

// zmq_setsockopt and friends report by zmq_errno(), which a goroutine could
// lose between two calls: hand it over with the result.
static void* ctx_new(int* err) { void* p = zmq_ctx_new(); *err = p ? 0 : zmq_errno(); return p; }
static int ctx_set(void* ctx, int opt, int v) { return zmq_ctx_set(ctx, opt, v) ? zmq_errno() : 0; }
static int ctx_term(void* ctx) { return zmq_ctx_term(ctx) ? zmq_errno() : 0; }
static void* sock_new(void* ctx, int type, int* err) {
	void* p = zmq_socket(ctx, type);
	*err = p ? 0 : zmq_errno();
	return p;
}
static int sock_set(void* s, int opt, const void* v, size_t n) { return zmq_setsockopt(s, opt, v, n) ? zmq_errno() : 0; }
static int sock_set_int(void* s, int opt, int v) { return sock_set(s, opt, &v, sizeof(v)); }
static int sock_set_int64(void* s, int opt, int64_t v) { return sock_set(s, opt, &v, sizeof(v)); }
static int sock_bind(void* s, const char* e) { return zmq_bind(s, e) ? zmq_errno() : 0; }
static int sock_connect(void* s, const char* e) { return zmq_connect(s, e) ? zmq_errno() : 0; }
static int sock_monitor(void* s, const char* e) { return zmq_socket_monitor(s, e, ZMQ_EVENT_ALL) ? zmq_errno() : 0; }
static int sock_fd(void* s, int* fd) {
	size_t n = sizeof(*fd);
	return zmq_getsockopt(s, ZMQ_FD, fd, &n) ? zmq_errno() : 0;
}
static int sock_last_endpoint(void* s, char* buf, size_t n) {
	return zmq_getsockopt(s, ZMQ_LAST_ENDPOINT, buf, &n) ? zmq_errno() : 0;
}
static int sock_send(void* s, const void* p, size_t n, int flags) {
	return zmq_send(s, p, n, flags) < 0 ? zmq_errno() : 0;
}
static int sock_recv(void* s, zmq_msg_t* m) { return zmq_msg_recv(m, s, ZMQ_DONTWAIT) < 0 ? zmq_errno() : 0; }
static void prctl_name(const char* name) { prctl(PR_SET_NAME, name, 0, 0, 0); }
static int prctl_slack(void) { return prctl(PR_SET_TIMERSLACK, 1000UL, 0UL, 0UL, 0UL); }
static zz_waker* waker_new(void) {
	zz_waker* w = calloc(1, sizeof(*w));
	if ( w && ! zz_waker_init(w) ) {
		free(w);
		w = NULL;
	}
	return w;
}
static void waker_wake_always(zz_waker* w) {
	atomic_store(&w->waiting, 1);
	zz_waker_wake(w);
}
static zz_relay* relay_new(void* xsub, int xsub_fd, void* xpub, int xpub_fd, zz_broker_stats* stats) {
	zz_relay* r = calloc(1, sizeof(*r));
	if ( ! r || ! zz_waker_init(&r->w) ) {
		free(r);
		return NULL;
	}
	r->items[0] = (zz_item){.socket = xsub, .fd = xsub_fd};
	r->items[1] = (zz_item){.socket = xpub, .fd = xpub_fd};
	zz_relay_return(r);
	zz_forwarder_init(&r->down, xsub, xpub);
	zz_forwarder_init(&r->up, xpub, xsub);
	r->stats = stats;
	return r;
}
static void relay_stop(zz_relay* r) {
	atomic_store(&r->stop, 1);
	waker_wake_always(&r->w);
}
static void relay_want(zz_relay* r) {
	atomic_store(&r->wanted, 1);
	waker_wake_always(&r->w);
}
static bool relay_stopping(zz_relay* r) { return atomic_load(&r->stop); }
static uint64_t relay_prod(zz_relay* r) {
	waker_wake_always(&r->w);
	return atomic_load(&r->turns);
}
static void relay_free(zz_relay* r) {
	zz_forwarder_close(&r->down);
	zz_forwarder_close(&r->up);
	zz_waker_destroy(&r->w);
	free(r);
}
*/
import "C"

import (
	"fmt"
	"math/bits"
	"sync"
	"sync/atomic"
	"syscall"
	"unsafe"
)

// zmqError is an errno that libzmq gave, with libzmq's text: it has numbers of
// its own.
type zmqError syscall.Errno

func (e zmqError) Error() string { return C.GoString(C.zmq_strerror(C.int(e))) }

// Is makes errors.Is work against syscall.Errno.
func (e zmqError) Is(target error) bool { return error(syscall.Errno(e)) == target }

// ErrTerm says that the context was shut down.
const ErrTerm = zmqError(C.ETERM)

// ErrAgain says that there is nothing to receive, or no room to send.
const ErrAgain = zmqError(C.EAGAIN)

func errno(rc C.int) error {
	if rc == 0 {
		return nil
	}
	return zmqError(rc)
}

// Context is a libzmq context.
type Context struct{ ptr unsafe.Pointer }

// NewContext makes a context with so many I/O threads.
func NewContext(ioThreads int) (*Context, error) {
	var rc C.int
	ptr := C.ctx_new(&rc)
	if ptr == nil {
		return nil, errno(rc)
	}
	c := &Context{ptr}
	if err := errno(C.ctx_set(ptr, C.ZMQ_IO_THREADS, C.int(ioThreads))); err != nil {
		c.Term()
		return nil, err
	}
	// A node has up to 11 sockets and a process may hold hundreds of nodes, one
	// for each WebSocket client. Unused slots cost 8 bytes.
	C.ctx_set(ptr, C.ZMQ_MAX_SOCKETS, 16384)
	return c, nil
}

// Shutdown makes every call on the context's sockets fail with [ErrTerm]. Any
// goroutine.
func (c *Context) Shutdown() { C.zmq_ctx_shutdown(c.ptr) }

// Term waits until all sockets are closed and what they had to send is sent or
// their linger times are over, then frees the context.
func (c *Context) Term() error {
	for {
		if rc := C.ctx_term(c.ptr); rc != C.EINTR {
			return errno(rc)
		}
	}
}

// SocketType is a ZMQ_* socket type.
type SocketType int

// The types of sockets that nodes and brokers have.
const (
	XPub SocketType = C.ZMQ_XPUB
	XSub SocketType = C.ZMQ_XSUB
	Push SocketType = C.ZMQ_PUSH
	Pull SocketType = C.ZMQ_PULL
	Pair SocketType = C.ZMQ_PAIR
	Rep  SocketType = C.ZMQ_REP
)

// Option is an integer socket option of zmq_setsockopt(3).
type Option int

// The integer options in use.
const (
	Linger            Option = C.ZMQ_LINGER
	SndHWM            Option = C.ZMQ_SNDHWM
	RcvHWM            Option = C.ZMQ_RCVHWM
	SndBuf            Option = C.ZMQ_SNDBUF
	RcvBuf            Option = C.ZMQ_RCVBUF
	Immediate         Option = C.ZMQ_IMMEDIATE
	IPv6              Option = C.ZMQ_IPV6
	XPubNoDrop        Option = C.ZMQ_XPUB_NODROP
	XPubVerbose       Option = C.ZMQ_XPUB_VERBOSE
	XPubVerboser      Option = C.ZMQ_XPUB_VERBOSER
	CurveServer       Option = C.ZMQ_CURVE_SERVER
	HeartbeatIvl      Option = C.ZMQ_HEARTBEAT_IVL
	HeartbeatTimeout  Option = C.ZMQ_HEARTBEAT_TIMEOUT
	HeartbeatTTL      Option = C.ZMQ_HEARTBEAT_TTL
	TCPKeepalive      Option = C.ZMQ_TCP_KEEPALIVE
	TCPKeepaliveIdle  Option = C.ZMQ_TCP_KEEPALIVE_IDLE
	TCPKeepaliveIntvl Option = C.ZMQ_TCP_KEEPALIVE_INTVL
	TCPKeepaliveCnt   Option = C.ZMQ_TCP_KEEPALIVE_CNT
	HandshakeIvl      Option = C.ZMQ_HANDSHAKE_IVL
	ReconnectIvl      Option = C.ZMQ_RECONNECT_IVL
	ReconnectMax      Option = C.ZMQ_RECONNECT_IVL_MAX
	MaxMsgSize        Option = C.ZMQ_MAXMSGSIZE
)

// KeyOption is an option whose value is a key.
type KeyOption int

// The keys of CURVE, as Z85 text of 40 characters.
const (
	CurvePublicKey KeyOption = C.ZMQ_CURVE_PUBLICKEY
	CurveSecretKey KeyOption = C.ZMQ_CURVE_SECRETKEY
	CurveServerKey KeyOption = C.ZMQ_CURVE_SERVERKEY
)

// Socket is a libzmq socket.
type Socket struct {
	ptr unsafe.Pointer
	fd  int
}

// NewSocket makes a socket.
func (c *Context) NewSocket(t SocketType) (*Socket, error) {
	var rc C.int
	ptr := C.sock_new(c.ptr, C.int(t), &rc)
	if ptr == nil {
		return nil, errno(rc)
	}
	s := &Socket{ptr: ptr}
	var fd C.int
	if rc := C.sock_fd(ptr, &fd); rc != 0 {
		s.Close()
		return nil, errno(rc)
	}
	s.fd = int(fd)
	return s, nil
}

// Close closes the socket; what it has to send lingers in its context. Closing
// a nil socket does nothing.
func (s *Socket) Close() {
	if s != nil {
		C.zmq_close(s.ptr)
	}
}

// Set sets an integer option.
func (s *Socket) Set(o Option, v int) error {
	if o == MaxMsgSize {
		return errno(C.sock_set_int64(s.ptr, C.int(o), C.int64_t(v)))
	}
	return errno(C.sock_set_int(s.ptr, C.int(o), C.int(v)))
}

// SetKey sets a key, given as Z85 text.
func (s *Socket) SetKey(o KeyOption, z85 string) error {
	c := C.CString(z85)
	defer C.free(unsafe.Pointer(c))
	return errno(C.sock_set(s.ptr, C.int(o), unsafe.Pointer(c), C.size_t(len(z85)+1)))
}

// Bind listens on an endpoint.
func (s *Socket) Bind(endpoint string) error {
	c := C.CString(endpoint)
	defer C.free(unsafe.Pointer(c))
	return errno(C.sock_bind(s.ptr, c))
}

// Connect connects to an endpoint. That succeeds whether or not somebody
// listens there.
func (s *Socket) Connect(endpoint string) error {
	c := C.CString(endpoint)
	defer C.free(unsafe.Pointer(c))
	return errno(C.sock_connect(s.ptr, c))
}

// LastEndpoint returns the endpoint bound or connected last, with the port that
// the system chose.
func (s *Socket) LastEndpoint() (string, error) {
	var buf [256]C.char
	if rc := C.sock_last_endpoint(s.ptr, &buf[0], C.size_t(len(buf))); rc != 0 {
		return "", errno(rc)
	}
	return C.GoString(&buf[0]), nil
}

var monitorNumber atomic.Uint64

// Unmonitor ends what Monitor began, and is due before the socket is closed:
// libzmq's thread that closes sockets would wait for ever for a reader of their
// last events. The PAIR is closed after the socket.
func (s *Socket) Unmonitor() { C.zmq_socket_monitor(s.ptr, nil, 0) }

// Monitor returns a PAIR on which the socket's events can be received.
func (s *Socket) Monitor(c *Context, name string) (*Socket, error) {
	// Numbered, since an endpoint outlives its socket for a moment.
	addr := C.CString(fmt.Sprintf("inproc://monitor-%s-%d", name, monitorNumber.Add(1)))
	defer C.free(unsafe.Pointer(addr))
	if rc := C.sock_monitor(s.ptr, addr); rc != 0 {
		return nil, errno(rc)
	}
	pair, err := c.NewSocket(Pair)
	if err != nil {
		return nil, err
	}
	pair.Set(Linger, 0)
	pair.Set(RcvHWM, 0) // else libzmq's thread waits for us when it is full
	if rc := C.sock_connect(pair.ptr, addr); rc != 0 {
		pair.Close()
		return nil, errno(rc)
	}
	return pair, nil
}

// Recv receives one message, not waiting for it: [ErrAgain] if there is none.
// Not for hot paths.
func (s *Socket) Recv() ([][]byte, error) {
	m := (*C.zmq_msg_t)(C.malloc(C.sizeof_zmq_msg_t))
	defer C.free(unsafe.Pointer(m))
	var parts [][]byte
	for {
		C.zmq_msg_init(m)
		if rc := C.sock_recv(s.ptr, m); rc != 0 {
			C.zmq_msg_close(m)
			if rc == C.EINTR {
				continue
			}
			return nil, errno(rc)
		}
		parts = append(parts, C.GoBytes(C.zmq_msg_data(m), C.int(C.zmq_msg_size(m))))
		more := C.zmq_msg_more(m) != 0
		C.zmq_msg_close(m)
		if !more {
			return parts, nil
		}
	}
}

// Send sends one message, not waiting for room. Not for hot paths.
func (s *Socket) Send(parts [][]byte) error {
	for i, p := range parts {
		flags := C.int(C.ZMQ_DONTWAIT)
		if i < len(parts)-1 {
			flags |= C.ZMQ_SNDMORE
		}
		for {
			rc := C.sock_send(s.ptr, unsafe.Pointer(unsafe.SliceData(p)), C.size_t(len(p)), flags)
			if rc == C.EINTR {
				continue
			}
			if rc != 0 {
				return errno(rc)
			}
			break
		}
	}
	return nil
}

// Z85Decode returns the 32 bytes of a key of 40 characters.
func Z85Decode(text string) ([]byte, error) {
	if len(text) != 40 {
		return nil, fmt.Errorf("a key is 40 characters of Z85, this has %d", len(text))
	}
	c := C.CString(text)
	defer C.free(unsafe.Pointer(c))
	var key [32]C.uint8_t
	if C.zmq_z85_decode(&key[0], c) == nil {
		return nil, fmt.Errorf("not Z85")
	}
	return C.GoBytes(unsafe.Pointer(&key[0]), 32), nil
}

// Keypair makes a CURVE key pair, as Z85 text of 40 characters each.
func Keypair() (public, secret string, err error) {
	var p, s [41]C.char
	if C.zmq_curve_keypair(&p[0], &s[0]) != 0 {
		return "", "", fmt.Errorf("libzmq was built without CURVE")
	}
	return C.GoString(&p[0]), C.GoString(&s[0]), nil
}

// SetThreadName names the calling thread, up to 15 bytes.
func SetThreadName(name string) {
	c := C.CString(name)
	defer C.free(unsafe.Pointer(c))
	C.prctl_name(c)
}

// SetTimerSlack makes the calling thread's short sleeps end within a microsecond
// of their time, instead of 50.
func SetTimerSlack() { C.prctl_slack() }

// Poller waits for news on sockets, on a waker, and on a channel's outbound
// queues. Its items are numbered in the order in which they were added.
type Poller struct {
	items *[C.ZZ_ITEMS_MAX]C.zz_item
	n     int
	w     *C.zz_waker
	own   bool
	a, b  *C.zz_queue
	ready *C.uint32_t
	pace  *C.zz_pace
	relay *C.zz_relay // borrowed, or nil

	waking sync.Mutex // of Wake and Close: nobody wakes what is freed

	ignore           uint32 // sockets
	ignoreA, ignoreB bool
}

func newPoller() *Poller {
	return &Poller{
		items: (*[C.ZZ_ITEMS_MAX]C.zz_item)(C.calloc(C.ZZ_ITEMS_MAX, C.sizeof_zz_item)),
		ready: (*C.uint32_t)(C.calloc(1, C.sizeof_uint32_t)),
		pace:  (*C.zz_pace)(C.calloc(1, C.sizeof_zz_pace)),
	}
}

// Moved says that so many messages were moved since the last wait. When there
// are very many, Wait lets some more arrive before it looks.
func (p *Poller) Moved(n int) { p.pace.moved += C.uint64_t(n) }

// NewPoller makes a poller that also wakes for the channel's outbound queues
// and for [Channel.Stop].
func NewPoller(ch *Channel) *Poller {
	p := newPoller()
	p.w, p.a, p.b = ch.engineWaker(), ch.eventsOut(), ch.logsOut()
	return p
}

// NewWakePoller makes a poller that also wakes for [Poller.Wake].
func NewWakePoller() (*Poller, error) {
	p := newPoller()
	w, err := C.waker_new()
	if w == nil {
		p.Close()
		return nil, err
	}
	p.w, p.own = w, true
	return p, nil
}

// Wake ends a wait. Any goroutine, also after Close, when it does nothing;
// pollers of [NewWakePoller] only.
func (p *Poller) Wake() {
	p.waking.Lock()
	defer p.waking.Unlock()
	if p.w != nil {
		C.waker_wake_always(p.w)
	}
}

// Add adds a socket and returns its bit in the result of Wait.
func (p *Poller) Add(s *Socket) uint32 {
	p.items[p.n] = C.zz_item{socket: s.ptr, fd: C.int(s.fd), ask: true}
	p.n++
	return 1 << (p.n - 1)
}

// Ask makes the next wait ask the sockets of these bits whether messages wait,
// which is due after something was sent on them.
func (p *Poller) Ask(bits uint32) {
	for i := 0; i < p.n; i++ {
		if bits&(1<<i) != 0 {
			p.items[i].ask = true
		}
	}
}

// Ignore makes the next wait sleep although a queue, of events or of logs, has
// records: they cannot be sent now. A record that is added still ends it.
func (p *Poller) Ignore(events, logs bool) {
	p.ignoreA, p.ignoreB = p.ignoreA || events, p.ignoreB || logs
}

// IgnoreSockets makes the next wait sleep although these sockets have messages:
// there is no room for them now.
func (p *Poller) IgnoreSockets(bits uint32) { p.ignore |= bits }

// Wait waits up to timeoutMs milliseconds, without bound if negative, and
// returns the bits of the sockets on which messages may wait.
func (p *Poller) Wait(timeoutMs int) (uint32, error) {
	a, b := p.a, p.b
	if p.ignoreA {
		a = nil
	}
	if p.ignoreB {
		b = nil
	}
	var fds [C.ZZ_ITEMS_MAX]C.int
	for i := 0; i < p.n; i++ {
		if fds[i] = p.items[i].fd; p.ignore&(1<<i) != 0 {
			p.items[i].fd, p.items[i].ask = -1, false
		}
	}
	rc := C.zz_wait_on(p.relay, &p.items[0], C.uint32_t(p.n), p.w, a, b, p.pace, C.int(timeoutMs), p.ready)
	for i := 0; i < p.n; i++ {
		p.items[i].fd = fds[i]
	}
	p.ignore, p.ignoreA, p.ignoreB = 0, false, false
	return uint32(*p.ready), errno(rc)
}

// Serve waits without bound as Wait does, and meanwhile sends what the channel's
// outbound queues get and delivers plain events: C only, so that Go's scheduler
// has no part in it. It returns for other news on sockets, a message that met a
// high-water mark, [Channel.Stop], and when a borrowed relay is due.
func (p *Poller) Serve(s *Service) (uint32, error) {
	s.c.relay = p.relay
	if s.receiver != nil {
		s.receiver.limit(s.limits)
	}
	rc := C.zz_serve(&p.items[0], C.uint32_t(p.n), s.c, p.pace, p.ready)
	return uint32(*p.ready), errno(rc)
}

// Service is what [Poller.Serve] sends to and receives from.
type Service struct {
	c        *C.zz_service
	receiver *Receiver
	limits   Limits
	names    []unsafe.Pointer // in C memory
}

// NewService makes a service; push may be nil. The bits are those of
// [Poller.Add].
func NewService(ch *Channel, s *Sender, xpub, xsub, push *Socket, xpubBit, xsubBit uint32) *Service {
	c := (*C.zz_service)(C.calloc(1, C.sizeof_zz_service))
	c.ch, c.sender, c.xpub, c.xsub = (*C.zz_channel)(ch.ptr), s.c, xpub.ptr, xsub.ptr
	c.xpub_item, c.xsub_item = C.uint32_t(bits.TrailingZeros32(xpubBit)), C.uint32_t(bits.TrailingZeros32(xsubBit))
	if push != nil {
		c.push = push.ptr
	}
	return &Service{c: c}
}

// PlainFormat is the format of which plain events are.
const PlainFormat = C.ZZ_PLAIN_FORMAT

// Bounds of a plain event: bytes of payload, and levels of values.
const (
	PlainMax    = C.ZZ_PLAIN_MAX
	PlainLevels = C.ZZ_PLAIN_LEVELS
)

// Plain says whether payload is a plain event, and the event's name, as plain.h
// has it.
func Plain(payload []byte) (name string, yes bool) {
	p := (*C.uint8_t)(C.CBytes(payload)) // a copy, so that reads behind the end are seen
	defer C.free(unsafe.Pointer(p))
	found := (*C.zz_name)(C.calloc(1, C.sizeof_zz_name))
	defer C.free(unsafe.Pointer(found))
	if !bool(C.zz_plain(p, C.size_t(len(payload)), &found.text, &found.len)) {
		return "", false
	}
	return C.GoStringN((*C.char)(unsafe.Pointer(found.text)), C.int(found.len)), true
}

// Deliver has Serve deliver plain events: those that are let through by
// validation whatever a host's types (plain.h). Events with one of these names
// are not plain. What meets a limit is left on the socket. Not during a Serve;
// called again, without names, it changes the limits.
func (s *Service) Deliver(r *Receiver, l Limits, unknown []string) {
	l.WaitForRoom = true
	s.receiver, s.limits = r, l
	s.c.recv = r.c
	if len(unknown) == 0 {
		return
	}
	list := (*C.zz_name)(C.calloc(C.size_t(len(unknown)), C.sizeof_zz_name))
	s.c.unknown, s.c.unknown_count = list, C.size_t(len(unknown))
	s.names = append(s.names, unsafe.Pointer(list))
	names := unsafe.Slice(list, len(unknown))
	for i, name := range unknown {
		text := C.CBytes([]byte(name))
		s.names = append(s.names, text)
		names[i] = C.zz_name{text: (*C.uint8_t)(text), len: C.size_t(len(name))}
	}
}

// Delivered is how many events the last Serve delivered.
func (s *Service) Delivered() uint64 { return uint64(s.c.delivered) }

// Undecided returns what Serve received and did not find plain, if there is
// such, once. It is not committed, so that nothing else may go into the inbox
// before it is.
func (s *Service) Undecided() (Received, bool) {
	if !s.c.undecided {
		return Received{}, false
	}
	s.c.undecided = false
	return s.receiver.received(), true
}

// Close frees the service.
func (s *Service) Close() {
	for _, p := range s.names {
		C.free(p)
	}
	C.free(unsafe.Pointer(s.c))
}

// Close frees the poller, not its sockets. No wait may be under way.
func (p *Poller) Close() {
	p.waking.Lock()
	defer p.waking.Unlock()
	C.free(unsafe.Pointer(p.items))
	C.free(unsafe.Pointer(p.ready))
	C.free(unsafe.Pointer(p.pace))
	if p.own {
		C.zz_waker_destroy(p.w)
		C.free(unsafe.Pointer(p.w))
	}
	p.w = nil
}

// Relay forwards between a broker's sockets.
type Relay struct {
	c *C.zz_relay

	waking sync.Mutex // nobody wakes what is freed
}

// NewRelay makes a relay between the XSUB that nodes publish to and the XPUB
// that they receive from.
func NewRelay(xsub, xpub *Socket, stats *BrokerStats) (*Relay, error) {
	c, err := C.relay_new(xsub.ptr, C.int(xsub.fd), xpub.ptr, C.int(xpub.fd), (*C.zz_broker_stats)(unsafe.Pointer(stats)))
	if c == nil {
		return nil, err
	}
	return &Relay{c: c}, nil
}

// Run forwards until Stop or Want.
func (r *Relay) Run() error { return errno(C.zz_relay_run(r.c, -1)) }

// Round forwards what there is, waits up to timeoutMs milliseconds for more if
// there is nothing, and says how many messages it forwarded.
func (r *Relay) Round(timeoutMs int) (moved uint64, err error) {
	rc := C.zz_relay_run(r.c, C.int(timeoutMs))
	return uint64(r.c.moved), errno(rc)
}

// Stop ends Run, now and later, and has a node that has borrowed the relay give
// it back. Any goroutine, also after Close, when it does nothing.
func (r *Relay) Stop() {
	r.wake(func() { C.relay_stop(r.c) })
}

// Stopping says whether Stop was called. Only before Close.
func (r *Relay) Stopping() bool { return bool(C.relay_stopping(r.c)) }

// Want ends Run, so that a node may borrow the relay. Any goroutine, also after
// Close, when it does nothing.
func (r *Relay) Want() {
	r.wake(func() { C.relay_want(r.c) })
}

// Prod wakes the relay, and says how many turns it has taken so far: if it
// lives, soon one more. Any goroutine, also after Close, when it returns 0.
func (r *Relay) Prod() (turns uint64) {
	r.wake(func() { turns = uint64(C.relay_prod(r.c)) })
	return turns
}

func (r *Relay) wake(by func()) {
	r.waking.Lock()
	defer r.waking.Unlock()
	if r.c != nil {
		by()
	}
}

// Close frees the relay, not its sockets. It must not be lent.
func (r *Relay) Close() {
	r.waking.Lock()
	defer r.waking.Unlock()
	C.relay_free(r.c)
	r.c = nil
}

// Borrow has the relay take its turns in the poller's waits, with so many
// messages each way at most; its thread must be parked. No socket may be added
// before it is returned.
func (p *Poller) Borrow(r *Relay, burst int) {
	C.zz_relay_lend(r.c, &p.items[p.n], C.uint32_t(burst))
	p.relay = r.c
	p.n += C.ZZ_RELAY_ITEMS
}

// RelayDue says whether a borrowed relay is to be returned.
func (p *Poller) RelayDue() bool { return p.relay != nil && bool(C.zz_relay_due(p.relay)) }

// ReturnRelay gives the borrowed relay back, if there is one, and says so.
func (p *Poller) ReturnRelay() bool {
	if p.relay == nil {
		return false
	}
	C.zz_relay_return(p.relay)
	p.relay = nil
	p.n -= C.ZZ_RELAY_ITEMS
	return true
}

// NewBrokerStats allocates counters in C memory, which the broker's thread
// writes; they are never freed.
func NewBrokerStats() *BrokerStats {
	return (*BrokerStats)(C.calloc(1, C.sizeof_zz_broker_stats))
}
