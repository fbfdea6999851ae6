// SPDX-License-Identifier: BSD-3-Clause

package logger_test

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	zmq "github.com/pebbe/zmq4"

	"github.com/zeekzmq/zeek-zeromq/go/internal/testkit"
	"github.com/zeekzmq/zeek-zeromq/go/logbatch"
	"github.com/zeekzmq/zeek-zeromq/go/logger"
	"github.com/zeekzmq/zeek-zeromq/go/options"
)

// numbered makes a batch of one row with the sender's number of it and a text of some length.
func numbered(tb testing.TB, path string, n, length int) string {
	tb.Helper()
	b, err := logbatch.NewBuilder(logbatch.Header{
		Stream: "Test::" + strings.ToUpper(path), Writer: "Log::WRITER_ASCII", Filter: "default", Path: path, Fields: []logbatch.Field{
			{Name: "n", Type: logbatch.Count}, {Name: "text", Type: logbatch.String}}})
	if err != nil {
		tb.Fatal(err)
	}
	b.Count(uint64(n))
	b.Text(strings.Repeat("x", length))
	p, err := b.Bytes()
	if err != nil {
		tb.Fatal(err)
	}
	return string(p)
}

// startAt starts a logger at an endpoint.
func startAt(tb testing.TB, endpoint string, cfg logger.Config) *logger.Logger {
	tb.Helper()
	cfg.Log = slog.New(slog.NewTextHandler(&notes{}, nil))
	cfg.Options = options.Default()
	cfg.Options.ListenLogEndpoint = endpoint
	cfg.Options.IPv6 = strings.Contains(endpoint, "[")
	var l *logger.Logger
	testkit.Eventually(tb, "the endpoint is free", func() bool {
		var err error
		l, err = logger.Start(cfg)
		return err == nil
	})
	return l
}

// written returns how often each number is in the log of a path.
func written(tb testing.TB, path string, dirs ...string) map[int]int {
	tb.Helper()
	out := map[int]int{}
	for _, dir := range dirs {
		logs, _ := filepath.Glob(filepath.Join(dir, path+".*log"))
		for _, name := range logs {
			text, err := os.ReadFile(name)
			if err != nil {
				tb.Fatal(err)
			}
			last := -1
			for _, line := range strings.Split(string(text), "\n") {
				if number, _, ok := strings.Cut(line, "\t"); ok && line[0] != '#' {
					n, err := strconv.Atoi(number)
					if err != nil {
						tb.Fatalf("%s: line %.100q", name, line)
					}
					if n < last {
						tb.Fatalf("%s: %d comes after %d", name, n, last)
					}
					last = n
					out[n]++
				}
			}
		}
	}
	return out
}

// flood sends numbered batches to an endpoint until it is stopped.
type flood struct {
	t       *testing.T
	size    int
	pause   time.Duration
	stop    atomic.Bool
	results []<-chan int
}

func ipv6(s *zmq.Socket) error { return s.SetIpv6(true) }

func startFlood(t *testing.T, endpoint string, senders, size int, pause time.Duration) *flood {
	f := &flood{t: t, size: size, pause: pause}
	peers := testkit.NewPeers(t)
	for s := range senders {
		push := peers.Connect(strings.Replace(endpoint, "*", "127.0.0.1", 1), zmq.PUSH, ipv6,
			testkit.HWM(100)) // what it holds has to be written, too
		f.results = append(f.results, testkit.Go(func() int {
			n := 0
			for ; !f.stop.Load(); n++ {
				push.SendParts("log-write", "node", logbatch.Format, numbered(t, fmt.Sprint("s", s), n, size))
				time.Sleep(pause)
			}
			return n
		}))
	}
	t.Cleanup(func() { f.stop.Store(true) })
	return f
}

// missing stops the senders, waits until the last batch of each is in a log, and returns for each how many are in none.
// None may be there twice, and all that are lost must be those of one moment.
func (f *flood) missing(dirs ...string) (missing []int) {
	f.t.Helper()
	f.stop.Store(true)
	for s, result := range f.results {
		path := fmt.Sprint("s", s)
		sent := testkit.Result(f.t, "the sender ends", result)
		var got map[int]int
		testkit.Eventually(f.t, "the last batch is written", func() bool {
			got = written(f.t, path, dirs...)
			return got[sent-1] > 0
		})
		gaps, lost := 0, 0
		for n := range sent {
			switch {
			case got[n] > 1:
				f.t.Errorf("batch %d of %s is there %d times", n, path, got[n])
			case got[n] == 0:
				lost++
				if n == 0 || got[n-1] > 0 {
					gaps++
				}
			}
		}
		if gaps > 1 {
			f.t.Errorf("%s: there are %d gaps: not only the stop lost batches", path, gaps)
		}
		f.t.Logf("%s: of %d batches of %d bytes, %d are lost", path, sent, f.size, lost)
		missing = append(missing, lost)
	}
	return missing
}

// A logger that is stopped while senders send, and its successor at the same endpoint.
func TestStopWhileSendersSend(t *testing.T) {
	for _, c := range []struct {
		name     string
		size     int
		pause    time.Duration
		stranger bool
		most     int // that may be lost of a sender, see drain.go
	}{
		{"no connection is full", 2000, 200 * time.Microsecond, false, 0},
		{"small batches", 2000, 0, false, 8192/2000 + 1},
		{"medium batches", 20000, 0, false, 1},
		{"large batches", 400000, 0, false, 1},
		// Those who hang up must not come back, and hang up again, for as long as somebody does not.
		{"somebody stays", 20000, 0, true, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			endpoint := testkit.FreeEndpoint(t)
			first, second := t.TempDir(), t.TempDir()
			l := startAt(t, endpoint, logger.Config{Dir: first})
			f := startFlood(t, endpoint, 2, c.size, c.pause)
			if c.stranger {
				stranger, err := net.Dial("tcp", testkit.HostPort(endpoint))
				if err != nil {
					t.Fatal(err)
				}
				defer stranger.Close()
			}
			some := uint64(min(300, 20_000_000/c.size))
			testkit.Eventually(t, "some are written", func() bool { return l.Stats().Batches.Load() > some })
			stop(t, l)

			l = startAt(t, endpoint, logger.Config{Dir: second, Fsync: logger.FsyncNever})
			testkit.Eventually(t, "the successor has some", func() bool { return l.Stats().Batches.Load() > some })
			for s, n := range f.missing(first, second) {
				if n > c.most {
					t.Errorf("sender %d: %d batches are lost, at most %d may be", s, n, c.most)
				}
			}
			stop(t, l)
		})
	}
}

// Connections are found whatever the endpoint looks like.
func TestStopAtOtherEndpoints(t *testing.T) {
	port := func() int { return testkit.FreePort(t) }
	for _, endpoint := range []string{
		"ipc://" + filepath.Join(t.TempDir(), "log"), fmt.Sprintf("tcp://*:%d", port()), fmt.Sprintf("tcp://[::1]:%d", port()),
	} {
		t.Run(endpoint[:7], func(t *testing.T) {
			if strings.Contains(endpoint, "[") {
				c, err := net.Listen("tcp", "[::1]:0")
				if err != nil {
					t.Skipf("SKIPPED: no IPv6: %v", err)
				}
				c.Close()
			}
			first, second := t.TempDir(), t.TempDir()
			l := startAt(t, endpoint, logger.Config{Dir: first})
			f := startFlood(t, endpoint, 2, 20000, 0)
			testkit.Eventually(t, "some are written", func() bool { return l.Stats().Batches.Load() > 300 })
			stop(t, l)
			l = startAt(t, endpoint, logger.Config{Dir: second})
			testkit.Eventually(t, "the successor has some", func() bool { return l.Stats().Batches.Load() > 300 })
			for s, n := range f.missing(first, second) {
				if n > 1 {
					t.Errorf("sender %d: %d batches are lost, one may be", s, n)
				}
			}
			stop(t, l)
		})
	}
}

func stop(t *testing.T, l *logger.Logger) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if err := l.Stop(ctx); err != nil {
		t.Fatal(err)
	}
}

// The same with Zeek's own logger, which loses what the kernels hold, and what it has not processed.
func TestStopLosesLessThanZeeksLogger(t *testing.T) {
	const size = 20000
	lost := func(endpoint string, stopFirst func(), first string) (n int) {
		f := startFlood(t, endpoint, 2, size, 0)
		testkit.Eventually(t, "some are written", func() bool { return len(written(t, "s0", first)) > 100 })
		stopFirst()
		second := t.TempDir()
		l := startAt(t, endpoint, logger.Config{Dir: second})
		testkit.Eventually(t, "the successor has some", func() bool { return l.Stats().Batches.Load() > 300 })
		for _, m := range f.missing(first, second) {
			n += m
		}
		stop(t, l)
		return n
	}

	endpoint := testkit.FreeEndpoint(t)
	z := testkit.StartZeek(t, "", "manager", testkit.FreeEndpoint(t), testkit.FreeEndpoint(t), fmt.Sprintf(`
redef Cluster::Backend::ZeroMQ::listen_log_endpoint = "%s";
redef Cluster::manager_is_logger = T;
redef Log::default_rotation_interval = 0sec;
redef Log::flush_interval = 100msec;
redef Log::default_max_field_string_bytes = 1000000;
redef Log::default_max_total_string_bytes = 1000000;
module Test;
export { redef enum Log::ID += { S0, S1 }; type Info: record { n: count &log; text: string &log; }; }
event zeek_init()
	{
	Log::create_stream(S0, [$columns=Info, $path="s0"]);
	Log::create_stream(S1, [$columns=Info, $path="s1"]);
	say("ready");
	}
`, endpoint))
	z.Await(t, "ready")
	zeeks := lost(endpoint, z.Stop, z.Dir())

	endpoint = testkit.FreeEndpoint(t)
	first := t.TempDir()
	l := startAt(t, endpoint, logger.Config{Dir: first})
	ours := lost(endpoint, func() { stop(t, l) }, first)
	t.Logf("Zeek's logger loses %d batches of %d bytes, this one %d", zeeks, size, ours)
	if ours > 2 {
		t.Errorf("this logger loses %d batches, one for each sender may be", ours)
	}
}

// A Zeek worker loses nothing when its logger is restarted.
func TestRestartWithAZeekWorker(t *testing.T) {
	for name, plugin := range map[string]string{"plugin": testkit.Plugin(), "built-in": ""} {
		t.Run(name, func(t *testing.T) {
			if name == "plugin" && plugin == "" {
				t.Skip("SKIPPED: the plugin is not built")
			}
			endpoint := testkit.FreeEndpoint(t)
			first, second := t.TempDir(), t.TempDir()
			l := startAt(t, endpoint, logger.Config{Dir: first})
			z := testkit.StartZeek(t, plugin, "worker-1", testkit.FreeEndpoint(t), testkit.FreeEndpoint(t), fmt.Sprintf(`
redef Cluster::Backend::ZeroMQ::connect_log_endpoints = vector("%s");
redef Cluster::Backend::ZeroMQ::linger_ms = 2000;
redef Cluster::manager_is_logger = F;
redef Log::enable_local_logging = F;
redef Log::enable_remote_logging = T;
redef Log::write_buffer_size = 5;
module Test;
export { redef enum Log::ID += { LOG }; type Info: record { n: count &log; text: string &log; }; global more: event(); }
global n = 0;
event Test::more()
	{
	local end = n + 10;
	while ( n < end )
		{
		Log::write(LOG, Info($n=n, $text="x"));
		++n;
		}
	if ( ! zeek_is_terminating() )
		schedule 2msec { Test::more() };
	}
event zeek_init()
	{
	Log::create_stream(LOG, [$columns=Info, $path="s0"]);
	event Test::more();
	say("writes");
	}
event zeek_done() &priority=-10
	{
	say(fmt("wrote %%d", n));
	}
`, endpoint))
			z.Await(t, "writes")
			some := func(l *logger.Logger) {
				t.Helper()
				testkit.Eventually(t, "some are written", func() bool { return l.Stats().Rows.Load() > 2000 })
			}
			some(l)
			stop(t, l)
			l = startAt(t, endpoint, logger.Config{Dir: second})
			some(l)
			z.Stop()
			stop(t, l)

			_, text, _ := strings.Cut(z.Output(), "wrote ")
			sent, err := strconv.Atoi(strings.Fields(text + " -")[0])
			if err != nil {
				t.Fatalf("%v: %s", err, z.Output())
			}
			got := written(t, "s0", first, second)
			for n := range sent {
				if got[n] != 1 {
					t.Fatalf("of %d rows, row %d is there %d times", sent, n, got[n])
				}
			}
			t.Logf("%d rows", sent)
		})
	}
}

// Somebody who does not hang up holds up the end for a while only, and is told.
func TestStopWithStrangers(t *testing.T) {
	r := start(t, logger.Config{})
	testkit.SendGarbage(t, r.Endpoint())
	r.send(numbers(t, "conn", "n", 0, 5))
	r.await(5)
	began := time.Now()
	checkNumbers(t, r.stop(), 5)
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("stopping took %v", took)
	}
	if r.notes.has("did not hang up") != 1 {
		t.Errorf("not told:\n%s", r.notes)
	}
}
