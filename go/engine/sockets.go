// SPDX-License-Identifier: BSD-3-Clause

package engine

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/zeekzmq/zeek-zeromq/go/internal/cshim"
	"github.com/zeekzmq/zeek-zeromq/go/options"
)

// sharedContext is the libzmq context of all nodes in a process, but for one
// with its broker there (local.go): a context costs two threads and half a dozen
// descriptors, and a process has a node for each WebSocket client.
type sharedContext struct {
	*cshim.Context
	zap  *zapHandler
	refs int
}

var (
	contextMutex sync.Mutex
	context      *sharedContext // nil while there is no node
)

// acquireContext returns the context for a node, with the broker that is in the
// same one, if any.
func acquireContext(o *options.Options) (*sharedContext, *localBroker, error) {
	if err := CheckDescriptors(); err != nil {
		return nil, nil, err
	}

	contextMutex.Lock()
	defer contextMutex.Unlock()

	if b := ownBroker(o); b != nil {
		b.ctx.refs++
		return b.ctx, b, nil
	}
	if context == nil {
		c, err := cshim.NewContext(1)
		if err != nil {
			return nil, nil, err
		}
		context = &sharedContext{Context: c}
	}
	context.refs++
	return context, nil, nil
}

// descriptorsNeeded is more than a context, a node and its connections take.
// libzmq aborts the process when it cannot have one that it needs.
const descriptorsNeeded = 48

// CheckDescriptors says whether the process may still open the descriptors of a
// node or a broker.
func CheckDescriptors() error {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return nil
	}
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil && !errors.Is(err, syscall.EMFILE) && !errors.Is(err, syscall.ENFILE) {
		return nil // cannot be told
	}
	if open := uint64(len(entries)); err != nil || open+descriptorsNeeded > limit.Cur {
		return fmt.Errorf("too few file descriptors are left: %d of %d are open, a node or broker needs up to %d", open, limit.Cur,
			descriptorsNeeded)
	}
	return nil
}

// release gives the context back. The last to do so waits, up to the given time
// and a little, until libzmq has sent what its sockets had left.
func (c *sharedContext) release(linger time.Duration) {
	contextMutex.Lock()
	c.refs--
	last := c.refs == 0
	if last && c == context {
		context = nil
	}
	contextMutex.Unlock()

	if last {
		c.zap.stop()
		TerminateContext(c.Context, linger)
	}
}

// TerminateContext ends a context whose sockets are closed. If libzmq takes
// longer than the sockets' linger time, it is left to finish by itself.
func TerminateContext(c *cshim.Context, linger time.Duration) {
	done := make(chan struct{})
	go func() {
		c.Term()
		close(done)
	}()

	if linger < 0 {
		<-done
		return
	}
	select {
	case <-done:
	case <-time.After(linger + 500*time.Millisecond):
	}
}

// open makes the node's sockets. What it made is closed by close, also
// when it fails.
func (e *Engine) open() error {
	o := &e.opts
	var err error
	socket := func(t cshim.SocketType, settings ...setting) *cshim.Socket {
		if err != nil {
			return nil
		}
		var s *cshim.Socket
		s, err = newSocket(e.ctx.Context, o, t, settings)
		return s
	}

	client := curveClient(o)
	// Subscriptions have no bound: libzmq loses, in silence, those over the
	// mark, such as all but 1000 of what is subscribed before the connection.
	e.xsub = socket(cshim.XSub, append(client, set(cshim.SndHWM, "", 0), set(cshim.RcvHWM, "xsub_rcvhwm", o.XSubRcvHWM),
		set(cshim.RcvBuf, "xsub_rcvbuf", o.XSubRcvBuf), set(cshim.Linger, "linger_ms", o.LingerMs))...)
	// Verbose, so that a subscription is seen even if its topic was known
	// before: callbacks wait for their own.
	e.xpub = socket(cshim.XPub, append(client, set(cshim.SndHWM, "xpub_sndhwm", o.XPubSndHWM),
		set(cshim.SndBuf, "xpub_sndbuf", o.XPubSndBuf), set(cshim.Linger, "linger_ms", o.LingerMs),
		set(cshim.XPubNoDrop, "connect_xpub_nodrop", number(o.ConnectXPubNoDrop)),
		set(cshim.XPubVerbose, "", 1))...)
	if !e.ch.NoLogs() {
		e.push = socket(cshim.Push, append(client, set(cshim.SndHWM, "log_sndhwm", o.LogSndHWM),
			set(cshim.SndBuf, "log_sndbuf", o.LogSndBuf), set(cshim.Linger, "linger_ms", o.LingerMs),
			set(cshim.Immediate, "log_immediate", number(o.LogImmediate)))...)
		if o.ListenLogEndpoint != "" {
			e.pull = socket(cshim.Pull, append(server(o), set(cshim.RcvHWM, "log_rcvhwm", o.LogRcvHWM),
				set(cshim.RcvBuf, "log_rcvbuf", o.LogRcvBuf))...)
		}
	}
	if err != nil {
		return err
	}

	for _, m := range []struct {
		name   string
		socket *cshim.Socket
	}{{"xpub", e.xpub}, {"xsub", e.xsub}, {"log-push", e.push}} {
		if m.socket == nil || e.ch.NoMonitor() || e.own != nil && m.socket != e.push {
			continue
		}
		pair, err := m.socket.Monitor(e.ctx.Context, m.name)
		if err != nil {
			return fmt.Errorf("cannot monitor the %s socket: %w", m.name, err)
		}
		e.monitors = append(e.monitors, pair)
	}

	if e.pull != nil {
		if o.CurveServer() {
			if err := e.ctx.serveZAP(o.CurveClientPublicKey); err != nil {
				return err
			}
		}
		if err := e.pull.Bind(o.ListenLogEndpoint); err != nil {
			return &EndpointError{"bind pull", "listen_log_endpoint", o.ListenLogEndpoint, err}
		}
	}
	xsubAt, xpubAt := o.ConnectXSubEndpoint, o.ConnectXPubEndpoint
	if e.own != nil {
		xsubAt, xpubAt = e.own.inXPub, e.own.inXSub
	}
	if err := e.xsub.Connect(xsubAt); err != nil {
		return &EndpointError{"connect xsub", "connect_xsub_endpoint", o.ConnectXSubEndpoint, err}
	}
	if err := e.xpub.Connect(xpubAt); err != nil {
		return &EndpointError{"connect xpub", "connect_xpub_endpoint", o.ConnectXPubEndpoint, err}
	}
	if e.push != nil {
		for _, endpoint := range o.ConnectLogEndpoints {
			if err := e.push.Connect(endpoint); err != nil {
				return &EndpointError{"connect push", "connect_log_endpoints", endpoint, err}
			}
		}
	}

	if e.push != nil && o.LogOverload == options.Spill && len(o.ConnectLogEndpoints) > 0 {
		if e.spill, err = openSpill(o.LogSpillDir, spillName(o), o.LogSpillMaxBytes); err != nil {
			return err
		}
	}
	if e.sender, err = cshim.NewSender(e.ch, o.NodeID); err != nil {
		return err
	}
	e.receiver = cshim.NewReceiver(e.ch, o.NodeID)
	e.poller = cshim.NewPoller(e.ch)
	e.xsubBit = e.poller.Add(e.xsub)
	e.xpubBit = e.poller.Add(e.xpub)
	if e.pull != nil {
		e.pullBit = e.poller.Add(e.pull)
	}
	for _, m := range e.monitors {
		e.monitorBits = append(e.monitorBits, e.poller.Add(m))
	}
	if e.own != nil && !e.ch.NoMonitor() {
		// libzmq has no events of inproc connections, which are there at once.
		for _, endpoint := range []string{o.ConnectXPubEndpoint, o.ConnectXSubEndpoint} {
			e.ch.TellMonitor(cshim.EventConnected, 0, endpoint)
			e.ch.TellMonitor(cshim.EventHandshakeSucceeded, 0, endpoint)
		}
	}

	// Debugging shows every wake-up, and what was spilled goes before what is new.
	if o.DebugFlags == 0 && e.spill == nil {
		e.service = cshim.NewService(e.ch, e.sender, e.xpub, e.xsub, e.push, e.xpubBit, e.xsubBit)
		if o.EventFormat == "" || o.EventFormat == cshim.PlainFormat {
			e.service.Deliver(e.receiver, e.limits, o.UndeclaredEvents)
		}
	}

	e.xpubDrops = episode{kind: cshim.Warning,
		begun: "xpub: dropped an event, xpub_sndhwm reached",
		over:  "xpub: %d events were dropped, xpub_sndhwm reached"}
	e.onloopDrops = episode{kind: cshim.Warning,
		begun: "dropped an event, onloop_queue_hwm reached: Zeek's main loop does not keep up",
		over:  "%d events were dropped, onloop_queue_hwm reached"}
	e.logDrops = episode{kind: cshim.Error,
		begun: "Failed to send log write. HWM reached?",
		over:  "%d log batches were dropped"}
	e.spilled = episode{kind: cshim.Warning,
		begun: "no logger takes log batches: keeping them in " + o.LogSpillDir,
		over:  "%d log batches were kept on disk"}
	e.spillFailed = episode{kind: cshim.Error,
		begun: "cannot keep log batches on disk",
		over:  "%d log batches could not be kept on disk"}
	e.xpubWaits = episode{kind: cshim.Warning,
		begun: "xpub: events wait, xpub_sndhwm reached",
		over:  "xpub: events waited %d times, xpub_sndhwm reached"}
	e.onloopWaits = episode{kind: cshim.Warning,
		begun: "events are left with the broker, onloop_queue_hwm reached: Zeek's main loop does not keep up",
		over:  "events were left with the broker %d times, onloop_queue_hwm reached"}
	e.logWaits = episode{kind: cshim.Warning,
		begun: "log batches wait: no logger takes them, log_sndhwm reached",
		over:  "log batches waited %d times, log_sndhwm reached"}
	e.inboxWaits = episode{kind: cshim.Warning,
		begun: "log batches are left with their senders: Zeek's main loop does not keep up",
		over:  "log batches were left with their senders %d times"}
	e.malformed = episode{kind: cshim.Error,
		begun: "ignored a message with the wrong number of parts",
		over:  "%d messages with the wrong number of parts were ignored"}
	e.invalid = episode{kind: cshim.Error,
		begun: "ignored a message that is not valid",
		over:  "%d messages that were not valid were ignored"}
	return nil
}

// setting is an option to set on a socket, with the name by which its user
// knows it.
type setting struct {
	option cshim.Option
	key    cshim.KeyOption // instead of option
	name   string
	value  int
	text   string
}

// heartbeatTTLMax is the most that ZMTP can say, in tenths of a second.
const heartbeatTTLMax = 6553500 * time.Millisecond

func set(o cshim.Option, name string, value int) setting {
	return setting{option: o, name: name, value: value}
}

func number(b bool) int {
	if b {
		return 1
	}
	return 0
}

func (s setting) apply(to *cshim.Socket) error {
	if s.key != 0 {
		if err := to.SetKey(s.key, s.text); err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
		return nil
	}
	if err := to.Set(s.option, s.value); err != nil {
		return fmt.Errorf("%s \"%d\": %w", s.name, s.value, err)
	}
	return nil
}

// NewBrokerSockets makes the sockets of a broker, not yet bound. On an error
// there are none.
func NewBrokerSockets(c *cshim.Context, o *options.Options) (xpub, xsub *cshim.Socket, err error) {
	server := server(o)
	// Verboser, so that every node sees each subscription, and the end of a
	// topic's last one, however often the topic was seen before.
	xpub, err = newSocket(c, o, cshim.XPub, append(server, set(cshim.XPubVerboser, "", 1),
		set(cshim.XPubNoDrop, "listen_xpub_nodrop", number(o.ListenXPubNoDrop))))
	if err != nil {
		return nil, nil, err
	}
	// No bound for subscriptions, which a node that connects gets all at once.
	if xsub, err = newSocket(c, o, cshim.XSub, append(server, set(cshim.SndHWM, "", 0))); err != nil {
		xpub.Close()
		return nil, nil, err
	}
	return xpub, xsub, nil
}

// heartbeats says whether a socket asks its peers for signs of life. A logger
// that leaves batches with their senders for a while does not see heartbeats
// either, nor answers to its own, so that libzmq would end the connection and
// lose what is under way: not where the operator wants no log to be lost. A
// logger does not know which senders those are.
func heartbeats(o *options.Options, t cshim.SocketType) bool {
	return o.HeartbeatInterval > 0 && t != cshim.Pull && (t != cshim.Push || o.LogOverload == options.Drop)
}

// newSocket makes a socket with the settings that all have, and its own.
func newSocket(c *cshim.Context, o *options.Options, t cshim.SocketType, settings []setting) (*cshim.Socket, error) {
	s, err := c.NewSocket(t)
	if err != nil {
		return nil, fmt.Errorf("cannot make a socket: %w", err)
	}
	ms := func(d time.Duration) int { return int(d / time.Millisecond) }
	settings = append(settings, set(cshim.IPv6, "ipv6", number(o.IPv6)),
		set(cshim.ReconnectIvl, "reconnect_interval", ms(o.ReconnectInterval)),
		set(cshim.ReconnectMax, "reconnect_interval_max", ms(o.ReconnectIntervalMax)))
	if heartbeats(o, t) {
		settings = append(settings, set(cshim.HeartbeatIvl, "heartbeat_interval", ms(o.HeartbeatInterval)),
			set(cshim.HeartbeatTimeout, "heartbeat_timeout", ms(o.HeartbeatTimeout)),
			set(cshim.HeartbeatTTL, "heartbeat_timeout", ms(min(o.HeartbeatTimeout, heartbeatTTLMax))))
	}
	if o.TCPKeepalive {
		settings = append(settings, set(cshim.TCPKeepalive, "tcp_keepalive", 1),
			set(cshim.TCPKeepaliveIdle, "tcp_keepalive_idle", int(o.TCPKeepaliveIdle/time.Second)),
			set(cshim.TCPKeepaliveIntvl, "tcp_keepalive_idle", max(1, int(o.TCPKeepaliveIdle/time.Second)/3)),
			set(cshim.TCPKeepaliveCnt, "tcp_keepalive", 3))
	}
	for _, st := range settings {
		if err := st.apply(s); err != nil {
			s.Close()
			return nil, err
		}
	}
	return s, nil
}

func curveClient(o *options.Options) []setting {
	if !o.CurveClient() {
		return nil
	}
	return []setting{
		{key: cshim.CurveServerKey, name: "curve_server_publickey", text: o.CurveServerPublicKey},
		{key: cshim.CurvePublicKey, name: "curve_client_publickey", text: o.CurveClientPublicKey},
		{key: cshim.CurveSecretKey, name: "curve_client_secretkey", text: o.CurveClientSecretKey},
	}
}

// server is what the sockets have that listen. Only these bound the size of
// messages: when a peer that was connected to breaks the rules of the protocol,
// an oversize message among them, libzmq gives up the connection for good.
func server(o *options.Options) []setting {
	settings := curveServer(o)
	if o.MaxMessageSize > 0 {
		settings = append(settings, set(cshim.MaxMsgSize, "max_message_size", int(o.MaxMessageSize)))
	}
	return settings
}

func curveServer(o *options.Options) []setting {
	if !o.CurveServer() {
		return nil
	}
	return []setting{
		set(cshim.CurveServer, "curve_server", 1),
		{key: cshim.CurveSecretKey, name: "curve_server_secretkey", text: o.CurveServerSecretKey},
	}
}

// close closes what is open and frees what open made. What is unsent then has
// the given time; negative: all that it takes.
func (e *Engine) close(linger time.Duration) {
	ms := int(linger / time.Millisecond)
	if linger < 0 {
		ms = -1
	}
	for _, s := range []*cshim.Socket{e.xpub, e.xsub, e.push, e.pull} {
		if s != nil {
			s.Unmonitor()
			s.Set(cshim.Linger, ms)
			s.Close()
		}
	}
	for _, m := range e.monitors {
		m.Close()
	}

	if e.service != nil {
		e.service.Close()
	}
	if e.sender != nil {
		e.sender.Close()
	}
	if e.receiver != nil {
		e.receiver.Close()
	}
	if e.poller != nil {
		e.poller.Close()
	}
	e.spill.close()
	e.ctx.release(linger)
}

// spillName is the name of a node's spill, the same after a restart.
func spillName(o *options.Options) string {
	name := o.NodeName
	if name == "" {
		name = "standalone"
	}
	return "zeromq-" + strings.ReplaceAll(name, "/", "_")
}
