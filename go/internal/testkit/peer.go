// SPDX-License-Identifier: BSD-3-Clause

package testkit

import (
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	zmq "github.com/pebbe/zmq4"
)

// Peers makes sockets of another ZeroMQ binding in a context of their own,
// which all end with the test. One goroutine at a time may use a socket.
type Peers struct {
	tb      testing.TB
	ctx     *zmq.Context
	sockets []*Peer
	closed  bool
}

// Peer is such a socket.
type Peer struct {
	*zmq.Socket
	tb      testing.TB
	monitor *zmq.Socket

	// Endpoint is where it is bound.
	Endpoint string
}

// NewPeers makes a context for peers.
func NewPeers(tb testing.TB) *Peers {
	tb.Helper()
	ctx, err := zmq.NewContext()
	if err != nil {
		tb.Fatal(err)
	}
	p := &Peers{tb: tb, ctx: ctx}
	tb.Cleanup(p.Close)
	return p
}

// Close closes the peers and their context. What they have not sent is lost.
func (p *Peers) Close() {
	if p.closed {
		return
	}
	p.closed = true
	for _, s := range p.sockets {
		s.Close()
	}
	p.ctx.Term()
}

// Setup is something to do to a socket before it is bound or connected.
type Setup func(*zmq.Socket) error

// Socket makes a socket. Its receive calls wait for up to [Eventually]'s time,
// its send calls likewise.
func (p *Peers) Socket(kind zmq.Type, setups ...Setup) *Peer {
	p.tb.Helper()
	s, err := p.ctx.NewSocket(kind)
	if err != nil {
		p.tb.Fatal(err)
	}
	peer := &Peer{Socket: s, tb: p.tb}
	p.sockets = append(p.sockets, peer)
	s.SetLinger(0)
	s.SetRcvtimeo(patience)
	s.SetSndtimeo(patience)
	s.SetReconnectIvl(20 * time.Millisecond)
	for _, setup := range setups {
		if err := setup(s); err != nil {
			p.tb.Fatal(err)
		}
	}
	return peer
}

// Bind makes a socket that listens on a port of the system's choice.
func (p *Peers) Bind(kind zmq.Type, setups ...Setup) *Peer {
	p.tb.Helper()
	return p.BindTo("tcp://127.0.0.1:*", kind, setups...)
}

// BindTo makes a socket that listens.
func (p *Peers) BindTo(endpoint string, kind zmq.Type, setups ...Setup) *Peer {
	p.tb.Helper()
	s := p.Socket(kind, setups...)
	if err := s.Bind(endpoint); err != nil {
		p.tb.Fatalf("bind %s: %v", endpoint, err)
	}
	s.Endpoint, _ = s.GetLastEndpoint()
	return s
}

// Connect makes a socket that is connected.
func (p *Peers) Connect(endpoint string, kind zmq.Type, setups ...Setup) *Peer {
	p.tb.Helper()
	s := p.Socket(kind, setups...)
	if err := s.Connect(endpoint); err != nil {
		p.tb.Fatalf("connect %s: %v", endpoint, err)
	}
	return s
}

// Close closes the socket and its monitor. What it has not sent is lost.
func (s *Peer) Close() {
	if s.monitor != nil {
		// The other way round, an I/O thread of libzmq would wait for ever to
		// hand over its next event.
		s.Monitor("", 0)
		s.monitor.Close()
		s.monitor = nil
	}
	s.Socket.Close()
}

// SendParts sends a message.
func (s *Peer) SendParts(parts ...string) {
	s.tb.Helper()
	for i, part := range parts {
		flag := zmq.Flag(0)
		if i < len(parts)-1 {
			flag = zmq.SNDMORE
		}
		if _, err := s.Send(part, flag); err != nil {
			s.tb.Fatalf("send part %d of %d: %v", i+1, len(parts), err)
		}
	}
}

// RecvParts receives a message.
func (s *Peer) RecvParts() []string {
	s.tb.Helper()
	parts, err := s.RecvMessage(0)
	if err != nil {
		s.tb.Fatalf("receive: %v", err)
	}
	return parts
}

// TryRecv receives a message if there is one.
func (s *Peer) TryRecv() []string {
	parts, err := s.RecvMessage(zmq.DONTWAIT)
	if err != nil {
		return nil
	}
	return parts
}

// Subscribe subscribes, on an XSUB.
func (s *Peer) Subscribe(topic string) { s.tb.Helper(); s.SendParts("\x01" + topic) }

// Unsubscribe ends a subscription, on an XSUB.
func (s *Peer) Unsubscribe(topic string) { s.tb.Helper(); s.SendParts("\x00" + topic) }

// AwaitMessage receives until the given one-part message came, such as a
// subscription on an XPUB.
func (s *Peer) AwaitMessage(text string) {
	s.tb.Helper()
	for {
		if got := s.RecvParts(); len(got) == 1 && got[0] == text {
			return
		}
	}
}

// Watch makes the socket's events available to [Peer.AwaitEvent].
func (s *Peer) Watch() *Peer {
	s.tb.Helper()
	addr := fmt.Sprintf("inproc://watch-%p", s)
	if err := s.Monitor(addr, zmq.EVENT_ALL); err != nil {
		s.tb.Fatal(err)
	}
	ctx, err := s.Context()
	if err != nil {
		s.tb.Fatal(err)
	}
	if s.monitor, err = ctx.NewSocket(zmq.PAIR); err != nil {
		s.tb.Fatal(err)
	}
	s.monitor.SetLinger(0)
	s.monitor.SetRcvtimeo(patience)
	if err := s.monitor.Connect(addr); err != nil {
		s.tb.Fatal(err)
	}
	return s
}

// AwaitEvent waits for one of the events, on a socket that [Peer.Watch]
// watches, and says which it was. The others that come before are dropped.
func (s *Peer) AwaitEvent(events ...zmq.Event) zmq.Event {
	s.tb.Helper()
	for {
		got, _, _, err := s.monitor.RecvEvent(0)
		if err != nil {
			s.tb.Fatalf("waiting for a monitor's event %v: %v", events, err)
		}
		for _, e := range events {
			if got == e {
				return got
			}
		}
	}
}

// Attached waits until a peer has connected to the socket, which is bound and
// watched, and makes the socket know: libzmq's sockets learn of such things
// only in calls of their owner.
func (s *Peer) Attached() {
	s.tb.Helper()
	s.AwaitEvent(zmq.EVENT_HANDSHAKE_SUCCEEDED)
	s.GetEvents()
}

// HWM sets both high-water marks.
func HWM(n int) Setup {
	return func(s *zmq.Socket) error {
		if err := s.SetSndhwm(n); err != nil {
			return err
		}
		return s.SetRcvhwm(n)
	}
}

// Small makes a peer that takes in next to nothing while it does not receive.
func Small(s *zmq.Socket) error {
	if err := s.SetRcvbuf(32768); err != nil {
		return err
	}
	return s.SetRcvhwm(1)
}

// NoDrop makes an XPUB wait at its high-water mark.
func NoDrop(s *zmq.Socket) error { return s.SetXpubNodrop(true) }

// Verboser makes an XPUB pass on every subscription and unsubscription.
func Verboser(s *zmq.Socket) error { return s.SetXpubVerboser(1) }

// CurveClient makes a client with these keys.
func CurveClient(serverPublic, public, secret string) Setup {
	return func(s *zmq.Socket) error { return s.ClientAuthCurve(serverPublic, public, secret) }
}

// CurveServer makes a server with this key, which lets every client in.
func CurveServer(secret string) Setup {
	return func(s *zmq.Socket) error {
		if err := s.SetCurveServer(1); err != nil {
			return err
		}
		return s.SetCurveSecretkey(secret)
	}
}

// Keypair makes a CURVE key pair.
func Keypair(tb testing.TB) (public, secret string) {
	tb.Helper()
	public, secret, err := zmq.NewCurveKeypair()
	if err != nil {
		tb.Fatal(err)
	}
	return public, secret
}

// ---- Strangers ----

// greeting is a ZMTP 3.1 greeting for NULL.
var greeting = "\xff\x00\x00\x00\x00\x00\x00\x00\x01\x7f\x03\x01NULL" + strings.Repeat("\x00", 16) + "\x00" + strings.Repeat("\x00", 31)

// ready is the command that follows it, for a socket type.
func ready(socketType string) string {
	body := "\x05READY\x0bSocket-Type\x00\x00\x00" + string(rune(len(socketType))) + socketType
	return "\x04" + string(rune(len(body))) + body
}

// Garbage is what strangers send to a port: by name, the bytes.
func Garbage() map[string]string {
	random := make([]byte, 4096)
	ports.Lock()
	ports.rand.Read(random)
	ports.Unlock()
	random[0] = 'G'
	return map[string]string{
		"nothing":              "",
		"http":                 "GET / HTTP/1.1\r\nHost: zeek\r\n\r\n",
		"random":               string(random),
		"ff and random":        "\xff" + string(random),
		"zeros":                strings.Repeat("\x00", 4096),
		"truncated greeting":   greeting[:11],
		"greeting alone":       greeting,
		"greeting, random":     greeting + string(random),
		"unknown mechanism":    greeting[:12] + "BOGUS" + greeting[17:] + ready("PUSH"),
		"wrong socket type":    greeting + ready("REQ"),
		"frame before ready":   greeting + "\x00\x05hello",
		"huge frame":           greeting + ready("PUSH") + "\x02\x7f\xff\xff\xff\xff\xff\xff\xff" + "abc",
		"huge frame, xsub":     greeting + ready("XSUB") + "\x02\x7f\xff\xff\xff\xff\xff\xff\xff" + "abc",
		"huge frame, xpub":     greeting + ready("XPUB") + "\x02\xff\xff\xff\xff\xff\xff\xff\xff" + "abc",
		"4 GB frame":           greeting + ready("PUSH") + "\x02\x00\x00\x00\x01\x00\x00\x00\x00" + "abc",
		"huge command":         greeting + ready("PUSH") + "\x06\x00\x00\x00\x00\x7f\xff\xff\xff" + "abc",
		"reserved flags":       greeting + ready("XPUB") + "\xf8\x05hello",
		"bad subscribe":        greeting + ready("XSUB") + "\x04\x0a\x09SUBSCRIBE" + "\x04\x03\x09SU",
		"message of no end":    greeting + ready("XPUB") + "\x01\x01a\x01\x01b\x01\x01c",
		"truncated frame":      greeting + ready("XPUB") + "\x01\x09abc",
		"old greeting (ZMTP1)": "\x01\x00\x01\x01abc",
	}
}

// SendGarbage connects to a port once for each of [Garbage], sends that, and
// hangs up; some connections stay open until the test ends, as a stuck peer's
// does.
func SendGarbage(tb testing.TB, endpoint string) {
	tb.Helper()
	for name, bytes := range Garbage() {
		for _, stay := range []bool{false, true} {
			c, err := net.DialTimeout("tcp", HostPort(endpoint), patience)
			if err != nil {
				tb.Fatalf("%s: %v", name, err)
			}
			c.SetDeadline(time.Now().Add(patience))
			// The other side may hang up at any byte.
			c.Write([]byte(bytes))
			if stay {
				tb.Cleanup(func() { c.Close() })
			} else {
				c.Close()
			}
		}
	}
}

// ServeGarbage listens on loopback and answers each connection with one of
// [Garbage], until the test ends. The count is of connections answered so far.
func ServeGarbage(tb testing.TB, name string) (endpoint string, count func() int) {
	tb.Helper()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	answered := make(chan int, 1)
	answered <- 0
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			c.SetDeadline(time.Now().Add(patience))
			c.Write([]byte(Garbage()[name]))
			// Hang up once the other side has had time to read all this.
			c.(*net.TCPConn).CloseWrite()
			c.SetDeadline(time.Now().Add(50 * time.Millisecond))
			io.Copy(io.Discard, c)
			c.Close()
			answered <- <-answered + 1
		}
	}()
	tb.Cleanup(func() {
		l.Close()
		<-ended
	})
	return "tcp://" + l.Addr().String(), func() int {
		n := <-answered
		answered <- n
		return n
	}
}
