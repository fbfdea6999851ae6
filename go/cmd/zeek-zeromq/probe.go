// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"time"

	"github.com/zeekzmq/zeek-zeromq/go/internal/cshim"
	"github.com/zeekzmq/zeek-zeromq/go/options"
)

// target is an endpoint that check tries to connect to. Its goroutine runs run.
type target struct {
	step  step // what its steps have in common
	o     *options.Options
	ours  cshim.SocketType
	kind  string // our socket's type in ZMTP
	peer  string // its peer's
	more  int    // added to exit codes
	steps chan *step

	network, address string // of package net
	addrs            []string
	conn             net.Conn
	mechanism        string // the peer's
}

func (c *checker) targets() ([]*target, error) {
	o := &c.s.Options
	list := []*target{
		{step: step{Target: "broker xpub", Endpoint: o.ConnectXSubEndpoint}, ours: cshim.XSub, kind: "XSUB", peer: "XPUB"},
		{step: step{Target: "broker xsub", Endpoint: o.ConnectXPubEndpoint}, ours: cshim.XPub, kind: "XPUB", peer: "XSUB"},
	}
	for _, e := range o.ConnectLogEndpoints {
		list = append(list, &target{step: step{Target: "logger", Endpoint: e}, ours: cshim.Push, kind: "PUSH", peer: "PULL", more: exitLogger})
	}
	for _, t := range list {
		t.o, t.steps = o, make(chan *step, 10)
		scheme, address, ok := strings.Cut(t.step.Endpoint, "://")
		if _, after, source := strings.Cut(address, ";"); source {
			address = after // "own address;the peer's"
		}
		switch {
		case ok && scheme == "tcp":
			t.network, t.address = "tcp", address
		case ok && scheme == "ipc":
			t.network, t.address = "unix", address
			if strings.HasPrefix(address, "@") {
				t.address = "\x00" + address[1:]
			}
		default:
			return nil, usagef("%q: only endpoints that start with tcp:// or ipc:// can be checked", t.step.Endpoint)
		}
	}
	return list, nil
}

func (t *target) run(ctx context.Context, timeout time.Duration) {
	defer close(t.steps)
	defer func() {
		if t.conn != nil {
			t.conn.Close()
		}
	}()
	for _, s := range []struct {
		name string
		code int
		f    func(context.Context) (string, error)
	}{
		{"name", exitResolve, t.resolve},
		{"connection", exitConnect, t.connect},
		{"greeting", exitGreeting, t.greet},
		{"mechanism", exitMechanism, t.compare},
		{"handshake", exitHandshake, t.shakeHands},
	} {
		if s.code == exitResolve && t.network == "unix" {
			continue
		}
		st := t.step
		st.Step = s.name
		if !do(st, s.code+t.more, func(s *step) { t.steps <- s }, func() (string, error) {
			ctx, cancel := context.WithTimeout(ctx, timeout)
			defer cancel()
			return s.f(ctx)
		}) {
			return
		}
	}
}

// resolve finds the addresses of the kind that libzmq would use.
func (t *target) resolve(ctx context.Context) (string, error) {
	host, port, err := net.SplitHostPort(t.address)
	if err != nil {
		return "", fmt.Errorf("%q is no host and port", t.address)
	}
	ips, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		var dns *net.DNSError
		if errors.As(err, &dns) && !dns.IsTimeout {
			return "", fmt.Errorf("%q: %s", host, dns.Err)
		}
		return "", fmt.Errorf("%q: no answer in time", host)
	}
	var use []string
	for _, ip := range ips {
		if ip = ip.Unmap(); ip.Is4() || t.o.IPv6 {
			use = append(use, ip.String())
			t.addrs = append(t.addrs, net.JoinHostPort(ip.String(), port))
		}
	}
	if len(use) == 0 {
		return "", fmt.Errorf("%q has IPv6 addresses only (%v): --ipv6 is needed", host, ips[0])
	}
	if ip, err := netip.ParseAddr(host); err == nil && len(use) == 1 && ip.Unmap().String() == use[0] {
		return "is an address", nil
	}
	return strings.Join(use, " "), nil
}

func (t *target) connect(ctx context.Context) (string, error) {
	addrs := t.addrs
	if t.network == "unix" {
		addrs = []string{t.address}
	}
	var failures []string
	for _, a := range addrs {
		conn, err := new(net.Dialer).DialContext(ctx, t.network, a)
		if err == nil {
			t.conn = conn
			return fmt.Sprintf("to %s", conn.RemoteAddr()), nil
		}
		var op *net.OpError
		switch {
		case ctx.Err() != nil:
			return "", fmt.Errorf("%s: no answer: a firewall, or the host is away", a)
		case errors.As(err, &op):
			err = op.Err
		}
		failures = append(failures, fmt.Sprintf("%s: %v", a, errors.Unwrap(err)))
	}
	return "", errors.New(strings.Join(failures, "; "))
}

// greet exchanges ZMTP's greetings: signature, version, mechanism.
func (t *target) greet(ctx context.Context) (string, error) {
	defer t.bound(ctx)()
	ours := make([]byte, 64)
	ours[0], ours[8], ours[9], ours[10], ours[11] = 0xff, 1, 0x7f, 3, 1
	copy(ours[12:32], t.wanted())
	// A peer that does not like our mechanism ends the connection: its own first.
	if _, err := t.conn.Write(ours[:12]); err != nil {
		return "", fmt.Errorf("cannot send: %w", cause(err))
	}
	theirs := make([]byte, 64)
	n, err := io.ReadFull(t.conn, theirs)
	theirs = theirs[:n]
	signature := n >= 10 && theirs[0] == 0xff && theirs[9]&1 == 1
	switch {
	case n == 0 && err == io.EOF:
		return "", errors.New("it closes the connection at once")
	case n == 0:
		return "", errors.New("it accepts the connection and says nothing")
	case n > 10 && signature && theirs[10] < 3:
		return "", fmt.Errorf("it speaks version %d of ZMTP, 3 is needed", theirs[10])
	case n < 64 && signature:
		return "", fmt.Errorf("it stops after %d bytes of its greeting", n)
	case n < 64 || !signature:
		return "", fmt.Errorf("this is no ZMTP: it says %.40q", theirs)
	}
	t.mechanism = string(bytes.TrimRight(theirs[12:32], "\x00"))
	if t.mechanism == t.wanted() {
		t.conn.Write(ours[12:])
	}
	return fmt.Sprintf("ZMTP %d.%d", theirs[10], theirs[11]), nil
}

// bound has the connection's reads and writes fail when the context ends, until
// the result is called.
func (t *target) bound(ctx context.Context) (release func() bool) {
	return context.AfterFunc(ctx, func() { t.conn.SetDeadline(time.Unix(1, 0)) })
}

func (t *target) wanted() string {
	if t.o.CurveClient() {
		return "CURVE"
	}
	return "NULL"
}

func (t *target) compare(context.Context) (string, error) {
	switch {
	case t.mechanism == t.wanted() && t.mechanism == "NULL":
		return "NULL: no encryption", nil
	case t.mechanism == t.wanted():
		return t.mechanism, nil
	case t.mechanism == "CURVE":
		return "", errors.New("it wants CURVE, and no keys are given (curve_server_publickey and others)")
	case t.mechanism == "NULL":
		return "", errors.New("it does not encrypt, and keys for CURVE are given")
	}
	return "", fmt.Errorf("it wants the mechanism %.20q", t.mechanism)
}

// shakeHands has libzmq connect as a node would.
func (t *target) shakeHands(ctx context.Context) (string, error) {
	if t.mechanism == "NULL" {
		// libzmq does not say what is wrong with a peer of the wrong kind.
		if got := t.socketType(ctx); got != "" && got != t.peer {
			hint := "the endpoint is another one's"
			if got == t.kind {
				hint = "connect_xsub_endpoint and connect_xpub_endpoint are swapped"
			}
			return "", fmt.Errorf("its socket is %.20s where %s should be: %s", printable(got), t.peer, hint)
		}
	}
	t.conn.Close()

	zctx, err := cshim.NewContext(1)
	if err != nil {
		return "", err
	}
	// Nothing lingers, so that this does not wait.
	defer zctx.Term()
	s, err := zctx.NewSocket(t.ours)
	if err != nil {
		return "", err
	}
	var monitor *cshim.Socket
	defer func() {
		s.Unmonitor()
		s.Close()
		monitor.Close()
	}()
	if err := t.configure(s); err != nil {
		return "", err
	}
	if monitor, err = s.Monitor(zctx, "check"); err != nil {
		return "", err
	}
	if err := s.Connect(t.step.Endpoint); err != nil {
		return "", err
	}
	poller, err := cshim.NewWakePoller()
	if err != nil {
		return "", err
	}
	defer poller.Close()
	poller.Add(monitor)
	defer context.AfterFunc(ctx, poller.Wake)()

	for ctx.Err() == nil {
		parts, err := monitor.Recv()
		if err == cshim.ErrAgain {
			_, err = poller.Wait(100)
		}
		if err != nil {
			return "", err
		}
		if len(parts) == 0 || len(parts[0]) != 6 {
			continue
		}
		value := binary.NativeEndian.Uint32(parts[0][2:])
		switch binary.NativeEndian.Uint16(parts[0]) {
		case cshim.EventHandshakeSucceeded:
			if t.mechanism == "CURVE" {
				return "with these keys, as " + t.o.CurveClientPublicKey, nil
			}
			return "its socket is " + t.peer, nil
		case cshim.EventHandshakeFailedAuth:
			return "", fmt.Errorf("it refuses the public key %s (%d): curve_client_publickey is not allowed there", t.o.CurveClientPublicKey, value)
		case cshim.EventHandshakeFailedProtocol:
			return "", fmt.Errorf("it broke the rules of ZMTP (%#x): is the endpoint another one's, or are connect_xsub_endpoint and connect_xpub_endpoint swapped?", value)
		case cshim.EventHandshakeFailedNoDetail, cshim.EventDisconnected:
			if t.mechanism == "CURVE" {
				return "", errors.New("it ends the connection: curve_server_publickey is not its key, or its socket is of another kind")
			}
			return "", errors.New("it ends the connection")
		}
	}
	return "", errors.New("it does not finish the handshake")
}

// configure gives a socket what a node's has.
func (t *target) configure(s *cshim.Socket) error {
	ipv6 := 0
	if t.o.IPv6 {
		ipv6 = 1
	}
	err := errors.Join(s.Set(cshim.Linger, 0), s.Set(cshim.IPv6, ipv6))
	if t.o.CurveClient() {
		err = errors.Join(err, s.SetKey(cshim.CurveServerKey, t.o.CurveServerPublicKey),
			s.SetKey(cshim.CurvePublicKey, t.o.CurveClientPublicKey), s.SetKey(cshim.CurveSecretKey, t.o.CurveClientSecretKey))
	}
	return err
}

// socketType reads the peer's READY, which it sends unasked, and returns the
// type of its socket; empty if that is not to be had.
func (t *target) socketType(ctx context.Context) string {
	defer t.bound(ctx)()
	head := make([]byte, 2) // flags, length
	if _, err := io.ReadFull(t.conn, head); err != nil || head[0] != 0x04 {
		return ""
	}
	b := make([]byte, head[1])
	if _, err := io.ReadFull(t.conn, b); err != nil || !bytes.HasPrefix(b, []byte("\x05READY")) {
		return ""
	}
	for b = b[6:]; len(b) > 0; {
		n := int(b[0])
		if len(b) < 1+n+4 {
			return ""
		}
		name, rest := string(b[1:1+n]), b[1+n:]
		size := binary.BigEndian.Uint32(rest)
		if rest = rest[4:]; uint64(size) > uint64(len(rest)) {
			return ""
		}
		if strings.EqualFold(name, "Socket-Type") {
			return string(rest[:size])
		}
		b = rest[size:]
	}
	return ""
}

// cause is the system's error without package net's words for the connection.
func cause(err error) error {
	for e := err; e != nil; e = errors.Unwrap(e) {
		err = e
	}
	return err
}
