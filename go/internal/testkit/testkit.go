// SPDX-License-Identifier: BSD-3-Clause

// Package testkit has what the tests of this module share: the host's side of a
// channel, independent ZeroMQ peers (pebbe/zmq4), waiting on conditions, and
// the search for leaks. For tests only.
package testkit

import (
	"encoding/binary"
	"flag"
	"fmt"
	"math/rand"
	"net"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"sort"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/zeekzmq/zeek-zeromq/go/internal/vectors"
)

// patience is how long a condition may take to come true: long enough for a
// machine that is busy with other things.
const patience = 30 * time.Second

// Eventually waits until the condition is true.
func Eventually(tb testing.TB, what string, condition func() bool) {
	tb.Helper()
	if !within(patience, condition) {
		tb.Fatalf("not within %v: %s", patience, what)
	}
}

func within(limit time.Duration, condition func() bool) bool {
	deadline := time.Now().Add(limit)
	for pause := 100 * time.Microsecond; ; pause = min(2*pause, 10*time.Millisecond) {
		if condition() {
			return true
		}
		if time.Now().After(deadline) {
			return false
		}
		time.Sleep(pause)
	}
}

// Done waits until the channel is closed.
func Done(tb testing.TB, what string, done <-chan struct{}) {
	tb.Helper()
	select {
	case <-done:
	case <-time.After(patience):
		tb.Fatalf("not within %v: %s", patience, what)
	}
}

// Go runs f in a goroutine, and returns a channel with its result.
func Go[T any](f func() T) <-chan T {
	result := make(chan T, 1)
	go func() { result <- f() }()
	return result
}

// Result waits for the result of [Go].
func Result[T any](tb testing.TB, what string, result <-chan T) T {
	tb.Helper()
	select {
	case v := <-result:
		return v
	case <-time.After(patience):
		tb.Fatalf("not within %v: %s", patience, what)
		panic("unreachable")
	}
}

// ---- Messages ----

// EventFormat and LogFormat are the formats of [Event] and [LogBatch].
const (
	EventFormat = "broker-bin-v1"
	LogFormat   = "zeek-bin-serializer"
)

// Event returns an event that Zeek sent.
func Event(tb testing.TB) string {
	tb.Helper()
	return string(vectors.Load(tb, "bin-events.json")[0].Payload)
}

// LogBatch returns a log batch that Zeek sent.
func LogBatch(tb testing.TB) string {
	tb.Helper()
	return string(vectors.Load(tb, "bin-logs.json")[0].Payload)
}

// NumberedEvent returns a valid event that carries a number.
func NumberedEvent(n int) string {
	var b strings.Builder
	count := func(n uint64) {
		b.WriteByte(2)
		b.Write(binary.BigEndian.AppendUint64(nil, n))
	}
	b.WriteString("\x0e\x03")
	count(1)
	count(1)
	b.WriteString("\x0e\x02\x05\x04ping\x0e\x01")
	count(uint64(n))
	return b.String()
}

// EventNumber is the number in an event of [NumberedEvent].
func EventNumber(event string) int {
	return int(binary.BigEndian.Uint64([]byte(event[len(event)-8:])))
}

// EventOfSize returns a valid event of at least the given size.
func EventOfSize(size int) string {
	head := NumberedEvent(0)
	head = head[:len(head)-9]
	varuint := binary.AppendUvarint(nil, uint64(size))
	return head + "\x05" + string(varuint) + strings.Repeat("x", size)
}

// ---- Endpoints ----

var ports = struct {
	sync.Mutex
	given map[int]bool
	rand  *rand.Rand
}{given: map[int]bool{}, rand: rand.New(rand.NewSource(time.Now().UnixNano() ^ int64(os.Getpid())<<32))}

// FreeEndpoint returns a TCP endpoint on loopback where nobody listens. Its
// port is none that the system gives to outgoing connections.
func FreeEndpoint(tb testing.TB) string {
	tb.Helper()
	return fmt.Sprintf("tcp://127.0.0.1:%d", FreePort(tb))
}

// FreePort returns the port of [FreeEndpoint].
func FreePort(tb testing.TB) int {
	tb.Helper()
	ports.Lock()
	defer ports.Unlock()
	for range 1000 {
		port := 10000 + ports.rand.Intn(22000)
		if ports.given[port] {
			continue
		}
		ports.given[port] = true
		l, err := net.Listen("tcp4", fmt.Sprintf("127.0.0.1:%d", port))
		if err != nil {
			continue
		}
		l.Close()
		return port
	}
	tb.Fatal("no free port")
	return 0
}

// HostPort is the address of a TCP endpoint, as package net writes it.
func HostPort(endpoint string) string { return strings.TrimPrefix(endpoint, "tcp://") }

// tcpConnections calls f for each connection to or from the endpoint's port with
// the bytes that the kernel holds of it, until f returns false.
func tcpConnections(tb testing.TB, endpoint string, f func(queues string) bool) {
	tb.Helper()
	_, port, err := net.SplitHostPort(HostPort(endpoint))
	if err != nil {
		tb.Fatal(err)
	}
	var n int
	fmt.Sscan(port, &n)
	suffix := fmt.Sprintf(":%04X", n)
	table, err := os.ReadFile("/proc/net/tcp")
	if err != nil {
		tb.Fatal(err)
	}
	for _, line := range strings.Split(string(table), "\n")[1:] {
		c := strings.Fields(line)
		if len(c) < 5 || c[3] == "0A" { // listening
			continue
		}
		if (strings.HasSuffix(c[1], suffix) || strings.HasSuffix(c[2], suffix)) && !f(c[4]) {
			return
		}
	}
}

// TCPQuiet says whether the kernel holds no byte that was sent to or from the
// endpoint's port and not read yet.
func TCPQuiet(tb testing.TB, endpoint string) bool {
	tb.Helper()
	quiet := true
	tcpConnections(tb, endpoint, func(queues string) bool {
		quiet = queues == "00000000:00000000"
		return quiet
	})
	return quiet
}

// TCPUsed says whether there is a connection to the endpoint's port.
func TCPUsed(tb testing.TB, endpoint string) (used bool) {
	tb.Helper()
	tcpConnections(tb, endpoint, func(string) bool { used = true; return false })
	return used
}

// ---- Leaks ----

// Threads counts this process's threads by name.
func Threads() map[string]int {
	byName := map[string]int{}
	tasks, _ := filepath.Glob("/proc/self/task/*/comm")
	for _, task := range tasks {
		if name, err := os.ReadFile(task); err == nil {
			byName[strings.TrimSpace(string(name))]++
		}
	}
	return byName
}

// ours says whether a thread of this name is libzmq's or of a node or broker.
func ours(name string) bool {
	return strings.HasPrefix(name, "ZMQbg") || strings.HasPrefix(name, "zeekzmq")
}

// Use is what a process holds of what must not leak.
type Use struct {
	Descriptors []string // what /proc/self/fd says
	Threads     int      // of libzmq, nodes and brokers
	Goroutines  int
}

// InUse is what the process holds now.
func InUse() Use {
	var u Use
	fds, _ := filepath.Glob("/proc/self/fd/*")
	for _, fd := range fds {
		if target, err := os.Readlink(fd); err == nil {
			if i := strings.IndexByte(target, '['); i > 0 && strings.HasPrefix(target, "socket:") {
				target = "socket"
			}
			u.Descriptors = append(u.Descriptors, target)
		}
	}
	sort.Strings(u.Descriptors)
	for name, n := range Threads() {
		if ours(name) {
			u.Threads += n
		}
	}
	u.Goroutines = runtime.NumGoroutine()
	return u
}

// Settled is what the process holds once that does not change: threads get
// their names, and sockets their connections, a little after their start.
func Settled() Use {
	u := InUse()
	for same := 0; same < 5; {
		time.Sleep(4 * time.Millisecond)
		now := InUse()
		if reflect.DeepEqual(u, now) {
			same++
		} else {
			u, same = now, 0
		}
	}
	return u
}

// within says whether u is no more than base. Descriptors that Go's runtime
// made for itself, once, are not counted.
func (u Use) within(base Use) bool {
	return len(u.descriptors()) <= len(base.descriptors()) && u.Threads <= base.Threads && u.Goroutines <= base.Goroutines
}

func (u Use) descriptors() []string {
	var own []string
	for _, d := range u.Descriptors {
		if strings.Contains(d, "[eventpoll]") || strings.HasPrefix(d, "/proc/") {
			continue
		}
		own = append(own, d)
	}
	return own
}

// Returns waits until the process holds no more than base.
func (base Use) Returns(tb testing.TB) {
	tb.Helper()
	if within(patience, func() bool { return InUse().within(base) }) {
		return
	}
	tb.Errorf("leak:\nbefore %+v\nnow    %+v\nthreads %v", base, InUse(), Threads())
}

// The main goroutine keeps the main thread, which Go cannot end: a node that ran
// on it would leave it behind, with the node's name.
func init() { runtime.LockOSThread() }

// runtimeDescriptors makes Go's runtime open what it opens once: the poller
// of package net and its eventfd.
func runtimeDescriptors() {
	r, w, err := os.Pipe()
	if err != nil {
		return
	}
	r.SetReadDeadline(time.Now().Add(time.Hour))
	r.Close()
	w.Close()
}

// Main runs a package's tests, then fails if they left a goroutine, a
// descriptor, or a thread of libzmq, a node or a broker behind.
func Main(m *testing.M) {
	runtimeDescriptors()
	base := InUse()
	code := m.Run()
	if os.Getenv(childVariable) != "" || flag.Lookup("test.fuzz").Value.String() != "" { // fuzzing leaves goroutines
		os.Exit(code)
	}
	if !within(patience, func() bool { return InUse().within(base) }) {
		now := InUse()
		stacks := make([]byte, 1<<20)
		stacks = stacks[:runtime.Stack(stacks, true)]
		fmt.Printf("FAIL: the tests leaked:\nbefore %+v\nnow    %+v\nthreads %v\n%s\n", base, now, Threads(), stacks)
		code = 1
	}
	os.Exit(code)
}

// AwaitReadable waits until a descriptor is readable.
func AwaitReadable(tb testing.TB, fd int) {
	tb.Helper()
	Eventually(tb, "the descriptor to be readable", func() bool { return Readable(fd) })
}

// Readable says whether a descriptor is readable now.
func Readable(fd int) bool {
	var set syscall.FdSet
	set.Bits[fd/64] |= 1 << (fd % 64)
	n, err := syscall.Select(fd+1, &set, nil, nil, &syscall.Timeval{})
	return err == nil && n == 1
}
