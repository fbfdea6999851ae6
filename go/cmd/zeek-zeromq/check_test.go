// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"encoding/json"
	"net"
	"strings"
	"testing"
	"time"

	zmq "github.com/pebbe/zmq4"

	"github.com/zeekzmq/zeek-zeromq/go/internal/testkit"
)

// says is an endpoint that says a text to whoever connects, and nothing more.
func says(tb testing.TB, text string) string {
	tb.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			tb.Cleanup(func() { c.Close() })
			c.Write([]byte(text))
		}
	}()
	return "tcp://" + l.Addr().String()
}

// deaf is a broker that passes subscriptions on, and no events.
func deaf(tb testing.TB) place {
	peers := testkit.NewPeers(tb)
	xpub := peers.Bind(zmq.XPUB, func(s *zmq.Socket) error { return s.SetRcvtimeo(time.Millisecond) })
	xsub := peers.Bind(zmq.XSUB)
	stop, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for {
			select {
			case <-stop:
				return
			default:
			}
			if m, err := xpub.RecvBytes(0); err == nil {
				xsub.SendBytes(m, 0)
			}
			xsub.GetEvents() // has it take new connections
		}
	}()
	tb.Cleanup(func() {
		close(stop)
		<-done
	})
	return place{xpub.Endpoint, xsub.Endpoint}
}

func TestCheckSaysWhichStepFails(t *testing.T) {
	serverPublic, serverSecret := testkit.Keypair(t)
	public, secret := testkit.Keypair(t)
	other, otherSecret := testkit.Keypair(t)
	with := func(server, public, secret string) []string {
		return []string{"--curve-server-publickey", server, "--curve-client-publickey", public, "--curve-client-secretkey", secret}
	}
	plain, curve := newPlace(t), newPlace(t)
	startBroker(t, plain)
	startBroker(t, curve, "--curve-server-secretkey", serverSecret, "--curve-client-publickey", public)
	second := newPlace(t)
	startBroker(t, second)
	pull := testkit.NewPeers(t).Bind(zmq.PULL).Endpoint
	nobody := testkit.FreeEndpoint(t)
	v2 := "\xff\x00\x00\x00\x00\x00\x00\x00\x01\x7f\x01\x01"

	for name, c := range map[string]struct {
		at   place
		args []string
		code int
		want string
	}{
		"all is well":          {plain, []string{"--connect-log-endpoints", pull}, 0, "event"},
		"all is well, CURVE":   {curve, with(serverPublic, public, secret), 0, "event"},
		"no such host":         {place{"tcp://no-such-host.invalid:1", plain.xsub}, nil, exitResolve, `"no-such-host.invalid"`},
		"not allowed IPv6":     {place{"tcp://[::1]:1", plain.xsub}, nil, exitResolve, "--ipv6"},
		"nobody listens":       {place{nobody, plain.xsub}, nil, exitConnect, "connection refused"},
		"nobody, at the xsub":  {place{plain.xpub, nobody}, nil, exitConnect, "FAIL broker xsub"},
		"silence":              {place{says(t, ""), plain.xsub}, nil, exitGreeting, "says nothing"},
		"a web server":         {place{plain.xpub, says(t, "HTTP/1.0 400\x1b[2J")}, nil, exitGreeting, `"HTTP/1.0 400\x1b[2J"`},
		"an old version":       {place{says(t, v2), plain.xsub}, nil, exitGreeting, "version 1"},
		"half a greeting":      {place{says(t, "\xff\x00\x00\x00\x00\x00\x00\x00\x01\x7f\x03\x01NULL"), plain.xsub}, nil, exitGreeting, "stops after 16 bytes"},
		"keys are missing":     {curve, nil, exitMechanism, "it wants CURVE"},
		"keys are too much":    {plain, with(serverPublic, public, secret), exitMechanism, "does not encrypt"},
		"wrong server key":     {curve, with(other, public, secret), exitHandshake, "curve_server_publickey is not its key"},
		"key not allowed":      {curve, with(serverPublic, other, otherSecret), exitHandshake, "refuses the public key " + other},
		"swapped":              {place{plain.xsub, plain.xpub}, nil, exitHandshake, "are swapped"},
		"swapped, CURVE":       {place{curve.xsub, curve.xpub}, with(serverPublic, public, secret), exitHandshake, "another kind"},
		"a logger for broker":  {place{pull, plain.xsub}, nil, exitHandshake, "PULL where XPUB should be"},
		"ends of two brokers":  {place{plain.xpub, second.xsub}, nil, exitSubscription, "did not come back"},
		"events do not come":   {deaf(t), nil, exitEvent, "did not come within"},
		"no logger there":      {plain, []string{"--connect-log-endpoints", pull, "--connect-log-endpoints", nobody}, exitLogger + exitConnect, "FAIL logger      " + nobody},
		"a broker for logger":  {plain, []string{"--connect-log-endpoints", plain.xpub}, exitLogger + exitHandshake, "XPUB where PULL should be"},
		"cannot be checked":    {place{"inproc://x", plain.xsub}, nil, exitUsage, "inproc://x"},
		"the broker is first":  {place{nobody, plain.xsub}, []string{"--connect-log-endpoints", nobody}, exitConnect, "FAIL logger"},
		"a timeout of nothing": {plain, []string{"--timeout", "0"}, exitUsage, "--timeout"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			begun := time.Now()
			args := append([]string{"--timeout", "2s"}, c.args...)
			p := launch(t, c.at.connect("check", args...)...)
			p.exits(c.code)
			out, errs := p.out.String(), p.err.String()
			if !strings.Contains(out+errs, c.want) || c.code != exitUsage && errs != "" {
				t.Errorf("says %q, want %q\n%s", errs, c.want, out)
			}
			if strings.Contains(out+errs, secret) || strings.Contains(out, "\x1b") {
				t.Errorf("shows what it must not: %q %q", out, errs)
			}
			if (c.code == 0) == strings.Contains(out, "FAIL") && c.code != exitUsage {
				t.Errorf("exit code %d, and says\n%s", c.code, out)
			}
			if took := time.Since(begun); took > 25*time.Second {
				t.Errorf("took %v", took)
			}

			p = launch(t, c.at.connect("check", append(args, "--json")...)...)
			p.exits(c.code)
			if c.code == exitUsage {
				return
			}
			var r result
			if err := json.Unmarshal([]byte(p.out.String()), &r); err != nil || strings.Count(p.out.String(), "\n") != 1 {
				t.Fatalf("%v: %s", err, p.out.String())
			}
			if r.ExitCode != c.code || r.OK != (c.code == 0) || len(r.Steps) != strings.Count(out, "\n") {
				t.Errorf("%+v\n%s", r, out)
			}
		})
	}
}

// A broker that does not answer at all is given up in time, and an interrupt
// ends the wait.
func TestCheckIsBounded(t *testing.T) {
	p := launch(t, place{says(t, ""), says(t, "")}.connect("check", "--timeout", "300ms")...)
	p.exits(exitGreeting)
	p = launch(t, place{says(t, ""), says(t, "")}.connect("check", "--timeout", "1h")...)
	p.awaitOut("connection")
	p.cancel()
	p.exits(exitFailed)
}

// Whatever answers at the broker's endpoint, check names a step, and the others
// end with one line.
func TestStrangersAtTheEndpoint(t *testing.T) {
	for name := range testkit.Garbage() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			endpoint, _ := testkit.ServeGarbage(t, name)
			at := place{endpoint, endpoint}
			check := launch(t, at.connect("check", "--timeout", "500ms", "--connect-log-endpoints", endpoint)...)
			code := testkit.Result(t, "the end of check", check.code)
			steps := map[int]string{exitGreeting: "greeting", exitMechanism: "mechanism", exitHandshake: "handshake"}
			// READY of the right kind is all that the handshake takes.
			steps[exitSubscription] = "subscription"
			if step := steps[code]; step == "" || !strings.Contains(check.out.String(), step) || check.err.String() != "" || !safe(check.out.String()) {
				t.Errorf("check: exit code %d, %q\n%s", code, check.err.String(), check.out.String())
			}
			for _, args := range [][]string{{"sub", "--connect-timeout", "300ms", "x"}, {"pub", "--connect-timeout", "300ms", "x", "e"},
				{"top", "--once", "--connect-timeout", "300ms", "--metrics", "none"}} {
				run := launch(t, at.connect(args[0], args[1:]...)...)
				run.exits(exitFailed)
				text := run.err.String()
				last := text[strings.LastIndex(strings.TrimSpace(text), "\n")+1:]
				if !strings.HasPrefix(last, "zeek-zeromq "+args[0]+": ") || !strings.Contains(last, endpoint) || !safe(text) {
					t.Errorf("%s: %q", args[0], text)
				}
			}
		})
	}
}

// Nor does it harm the broker what strangers send, or events that are none.
func TestStrangersAtTheBroker(t *testing.T) {
	p := newPlace(t)
	b := startBroker(t, p)
	testkit.SendGarbage(t, p.xpub)
	testkit.SendGarbage(t, p.xsub)
	sub := launch(t, p.connect("sub", "--log-level", "info", "--count", "2", "")...)
	sub.awaitErr("subscribed")
	peers := testkit.NewPeers(t)
	pub := peers.Connect(p.xsub, zmq.XPUB)
	pub.AwaitMessage("\x01")
	for _, parts := range [][]string{{"x"}, {"x", "s", "broker-bin-v1"}, {"x", "s", "broker-bin-v1", "\x0e\xff"}, {"x", "s", "no format", "e"},
		{"x", "s", "broker-bin-v1", testkit.Event(t), "five"}, {"x", "s", "broker-json-v1", "{"}} {
		pub.SendParts(parts...)
	}
	pub.SendParts("good", "s", "broker-bin-v1", testkit.Event(t))
	launch(t, p.connect("pub", "x", "last")...).exits(exitOK)
	sub.exits(exitOK)
	if out := sub.out.String(); strings.Count(out, "\n") != 2 || !strings.Contains(out, " good ") || !strings.Contains(out, " last()") {
		t.Errorf("sub printed %s", out)
	}
	// Each kind of what was ignored is told once.
	if errs := sub.err.String(); !strings.Contains(errs, "wrong number of parts") || !strings.Contains(errs, "not valid") || strings.Count(errs, "\n") > 8 || !safe(errs) {
		t.Errorf("sub said %s", errs)
	}
	launch(t, p.connect("check")...).exits(exitOK)
	b.cancel()
	b.exits(exitOK)
}
