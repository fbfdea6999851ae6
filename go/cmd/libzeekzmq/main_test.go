// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"unsafe"

	zmq "github.com/pebbe/zmq4"

	"github.com/zeekzmq/zeek-zeromq/go/broker"
	"github.com/zeekzmq/zeek-zeromq/go/engine"
	"github.com/zeekzmq/zeek-zeromq/go/internal/cshim"
	"github.com/zeekzmq/zeek-zeromq/go/internal/testkit"
	"github.com/zeekzmq/zeek-zeromq/go/options"
)

func TestMain(m *testing.M) { testkit.Main(m) }

// Tests cannot name C's types: these get them from the exported functions.

// fresh makes what a result parameter of an exported function points at.
func fresh[T, R any](func(*T) R) *T { return new(T) }

// at makes a pointer of a parameter's type.
func at[T, A, R any](_ func(*T, A, func() error) R, p unsafe.Pointer) *T { return (*T)(p) }

// cOption is zeekzmq_option.
type cOption struct {
	name, value unsafe.Pointer
	len         uintptr
}

func cOptions(pairs ...string) []cOption {
	var all []cOption
	for i := 0; i < len(pairs); i += 2 {
		name, value := append([]byte(pairs[i]), 0), append([]byte(pairs[i+1]), 0)
		all = append(all, cOption{unsafe.Pointer(&name[0]), unsafe.Pointer(&value[0]), uintptr(len(pairs[i+1]))})
	}
	return all
}

func text(buf []byte) string {
	s, _, _ := strings.Cut(string(buf), "\x00")
	return s
}

func openHandles() int {
	n := fresh(zeekzmq_open_handles)
	zeekzmq_open_handles(n)
	return int(*n)
}

func TestABIVersion(t *testing.T) {
	if v := zeekzmq_abi_version(); uint32(v) != cshim.ABIVersion {
		t.Errorf("%d", v)
	}
}

func TestNodeAndBrokerThroughTheBoundary(t *testing.T) {
	buf := make([]byte, 300)
	err := at(call, unsafe.Pointer(&buf[0]))
	node, brok := fresh(zeekzmq_open_handles), fresh(zeekzmq_open_handles)
	xpub, xsub := testkit.FreeEndpoint(t), testkit.FreeEndpoint(t)

	opts := cOptions("listen_xpub_endpoint", xpub, "listen_xsub_endpoint", xsub)
	if rc := zeekzmq_broker_start(unsafe.Pointer(&opts[0]), 2, unsafe.Pointer(broker.NewStats()), brok, err, 300); rc != 0 {
		t.Fatalf("%d: %s", rc, text(buf))
	}
	host := testkit.NewHost(t)
	opts = cOptions("node_id", "me", "connect_xsub_endpoint", xpub, "connect_xpub_endpoint", xsub)
	if rc := zeekzmq_node_start(unsafe.Pointer(&opts[0]), 3, host.Pointer(), node, err, 300); rc != 0 {
		t.Fatalf("%d: %s", rc, text(buf))
	}
	if *node == 0 || *brok == 0 || *node == *brok || openHandles() != 2 {
		t.Errorf("handles %d and %d, %d open", *node, *brok, openHandles())
	}
	host.Subscribe("mine")
	host.AwaitTopic(t, cshim.Subscription, "mine")

	// A handle is of its kind.
	if rc := zeekzmq_broker_stop(*node, err, 300); cshim.Result(rc) != cshim.EHandle {
		t.Errorf("a node stopped as a broker: %d", rc)
	}
	if rc := zeekzmq_node_stop(*node, err, 300); rc != 0 {
		t.Errorf("%d: %s", rc, text(buf))
	}
	if rc := zeekzmq_node_stop(*node, err, 300); cshim.Result(rc) != cshim.EHandle || text(buf) == "" {
		t.Errorf("stopped twice: %d, %q", rc, text(buf))
	}
	if rc := zeekzmq_broker_stop(*brok, err, 300); rc != 0 {
		t.Errorf("%d: %s", rc, text(buf))
	}
	if n := openHandles(); n != 0 {
		t.Errorf("%d handles are open", n)
	}
}

func TestStartErrorsHaveTheirResults(t *testing.T) {
	taken := testkit.NewPeers(t).Bind(zmq.REP).Endpoint
	host := testkit.NewHost(t)
	for _, c := range []struct {
		options []string
		result  cshim.Result
		text    string
	}{
		{[]string{"node_id", ""}, cshim.EOption, "node_id"},
		{[]string{"node_id", "me", "linger_ms", "soon"}, cshim.EOption, "linger_ms"},
		{[]string{"node_id", "me", "no_such_option", "1"}, cshim.EOption, "no_such_option"},
		{[]string{"node_id", "me", "curve_client_secretkey", "short"}, cshim.EOption, "curve_client_secretkey"},
		{[]string{"node_id", "me", "listen_log_endpoint", taken}, cshim.EEndpoint, taken},
	} {
		buf := make([]byte, 300)
		node := fresh(zeekzmq_open_handles)
		opts := cOptions(c.options...)
		rc := startNode(zeekzmq_node_start, opts, host.Pointer(), unsafe.Pointer(node), buf)
		if rc != c.result || !strings.Contains(text(buf), c.text) {
			t.Errorf("%q: %d %q, want %d and %q in the text", c.options, rc, text(buf), c.result, c.text)
		}
		if *node != 0 || openHandles() != 0 {
			t.Errorf("%q: a handle was left", c.options)
		}
	}
}

type integer interface {
	~int32 | ~uint64 | ~uint32 | ~int64 | ~uint | ~int
}

// startNode calls zeekzmq_node_start, whatever C's names of its types are.
func startNode[S, R integer, H, C any](f func(unsafe.Pointer, S, unsafe.Pointer, *H, *C, S) R, opts []cOption, ch, node unsafe.Pointer,
	buf []byte) cshim.Result {
	return cshim.Result(f(unsafe.Pointer(&opts[0]), S(len(opts)), ch, (*H)(node), (*C)(unsafe.Pointer(&buf[0])), S(len(buf))))
}

func TestErrorsBecomeResults(t *testing.T) {
	buf := make([]byte, 300)
	for _, c := range []struct {
		err  error
		want cshim.Result
	}{
		{nil, cshim.OK},
		{&options.Error{Name: "n", Value: "v", Want: "w"}, cshim.EOption},
		{fmt.Errorf("while starting: %w", &engine.EndpointError{Doing: "bind", Err: errors.New("no")}), cshim.EEndpoint},
		{&engine.PanicError{Value: "x"}, cshim.EPanic},
		{errHandle, cshim.EHandle},
		{engine.ErrTimeout, cshim.ETimeout},
		{broker.ErrTimeout, cshim.ETimeout},
		{errors.New("no memory"), cshim.ESystem},
	} {
		rc := call(at(call, unsafe.Pointer(&buf[0])), 300, func() error { return c.err })
		if cshim.Result(rc) != c.want || (c.err != nil && text(buf) != c.err.Error()) {
			t.Errorf("%v: %d %q, want %d", c.err, rc, text(buf), c.want)
		}
	}
}

func TestPanicBecomesAResultWithItsStack(t *testing.T) {
	buf := make([]byte, 4000)
	rc := call(at(call, unsafe.Pointer(&buf[0])), 4000, func() error { panic("oh no") })
	if cshim.Result(rc) != cshim.EPanic || !strings.Contains(text(buf), "oh no") || !strings.Contains(text(buf), "main_test.go") {
		t.Errorf("%d %q", rc, text(buf))
	}
}

func callSized[C any, S integer, R any](f func(*C, S, func() error) R, buf unsafe.Pointer, size int, body func() error) R {
	return f((*C)(buf), S(size), body)
}

// The text is cut to the caller's buffer, and always ends.
func TestErrorTextFitsTheBuffer(t *testing.T) {
	fails := func() error { return errors.New("a long story") }
	for size := range 16 {
		buf := []byte(strings.Repeat("#", 32))
		callSized(call, unsafe.Pointer(&buf[0]), size, fails)
		want := "a long story"[:min(max(size-1, 0), 12)] + "\x00"
		if size == 0 {
			want = ""
		}
		want += strings.Repeat("#", 32-len(want))
		if string(buf) != want {
			t.Errorf("with %d bytes: %q, want %q", size, buf, want)
		}
	}
	call(nil, 0, fails) // no buffer: no text
}
