// SPDX-License-Identifier: BSD-3-Clause

// Command logger compares zeek-zeromq logger with a Zeek process as logger: the
// same batches, which a Zeek worker sent, to one and the other in turn. Both
// must write the same bytes.
package main

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"flag"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sort"
	"strconv"
	"strings"
	"syscall"
	"time"

	zmq "github.com/pebbe/zmq4"
)

var (
	zeek     = flag.String("zeek", "zeek", "Zeek")
	zeekpath = flag.String("zeekpath", "", "ZEEKPATH")
	logger   = flag.String("logger", "zeek-zeromq", "the program with the logger")
	script   = flag.String("script", "rows.zeek", "what Zeek runs")
	batches  = flag.Int("batches", 1000, "how many `batches` of 1000 rows each run takes")
	rounds   = flag.Int("rounds", 3, "how often each logger has its turn")
	dir      = flag.String("dir", "", "the `folder` to write to (default: the system's for temporary files)")
	goal     = flag.Float64("goal", 3, "the `ratio` wanted; 0: none")
	args     = flag.String("args", "", "more `arguments` for zeek-zeromq logger")
)

// patience bounds every wait.
const patience = 2 * time.Minute

func main() {
	flag.Parse()
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "tests/bench/logger:", err)
		os.Exit(1)
	}
}

func run() error {
	base, err := os.MkdirTemp(*dir, "zeek-zeromq-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(base)
	captured, err := capture(base)
	if err != nil {
		return err
	}
	fmt.Printf("%d batches of a Zeek worker, repeated to %d; %s; %d processors\n\n", len(captured), *batches, runtime.Version(), runtime.NumCPU())
	*batches -= *batches % len(captured)

	met := true
	fmt.Printf("%-6s %-8s %12s %12s %10s %10s\n", "format", "logger", "rows/s", "", "CPU us/row", "RSS MB")
	for _, format := range []string{"tsv", "json"} {
		b := bench{base: base, captured: captured, format: format}
		if err := b.measure(); err != nil {
			return fmt.Errorf("%s: %w", format, err)
		}
		ours, zeeks := b.results[0], b.results[1]
		ours.print(format, "zeromq")
		zeeks.print(format, "zeek")
		ratio := ours.rate() / zeeks.rate()
		fmt.Printf("%-6s %-8s %12.2f %12s %10.2f\n", format, "ratio", ratio, "", ours.cpu()/zeeks.cpu())
		met = met && ratio >= *goal
	}
	fmt.Println("\nrows/s: the median, and all; from the first batch sent until all rows are in the file, which both wrote alike")
	if !met {
		return fmt.Errorf("the goal of %.1f times the rows of Zeek's logger was missed", *goal)
	}
	return nil
}

// capture has a Zeek worker send its rows here.
func capture(base string) (captured [][]string, err error) {
	pull, err := zmq.NewSocket(zmq.PULL)
	if err != nil {
		return nil, err
	}
	defer pull.Close()
	pull.SetRcvtimeo(patience)
	if err := pull.Bind("tcp://127.0.0.1:*"); err != nil {
		return nil, err
	}
	endpoint, err := pull.GetLastEndpoint()
	if err != nil {
		return nil, err
	}
	p, err := startZeek(filepath.Join(base, "worker"), "worker-1", endpoint, "tsv")
	if err != nil {
		return nil, err
	}
	defer p.stop()
	const want = 20
	for len(captured) < want {
		parts, err := pull.RecvMessage(0)
		if err != nil {
			return nil, fmt.Errorf("of %d batches, %d came: %w\n%s", want, len(captured), err, p.output.String())
		}
		if len(parts) == 4 && strings.Contains(parts[3][:min(60, len(parts[3]))], "Bench::LOG") {
			captured = append(captured, parts)
		}
	}
	return captured, nil
}

// result is what the runs of one logger gave.
type result struct {
	rates, cpus []float64
	rss         int64
}

func median(v []float64) float64 {
	v = append([]float64(nil), v...)
	sort.Float64s(v)
	return v[len(v)/2]
}

func (r *result) rate() float64 { return median(r.rates) }
func (r *result) cpu() float64  { return median(r.cpus) }

func (r *result) print(format, name string) {
	var all []string
	for _, rate := range r.rates {
		all = append(all, fmt.Sprintf("%.0fk", rate/1000))
	}
	fmt.Printf("%-6s %-8s %12.0f %12s %10.2f %10d\n", format, name, r.rate(), strings.Join(all, " "), r.cpu(), r.rss>>20)
}

type bench struct {
	base, format string
	captured     [][]string
	head, rows   int64 // bytes: of the header, and of the rows of all captured batches
	digest       [sha256.Size]byte
	results      [2]result
}

func (b *bench) measure() error {
	// A first run, of all captured batches once, says what is to be expected.
	if err := b.one(0, len(b.captured)); err != nil {
		return err
	}
	for i := range 2 * *rounds {
		if err := b.one(i%2, *batches); err != nil {
			return err
		}
	}
	return nil
}

// one is a run of a logger: zeek-zeromq's if which is 0, or Zeek's.
func (b *bench) one(which, n int) error {
	dir := filepath.Join(b.base, "run")
	defer os.RemoveAll(dir)
	endpoint := freeEndpoint()
	var p *process
	var err error
	if which == 0 {
		p, err = startLogger(dir, endpoint, b.format)
	} else {
		p, err = startZeek(dir, "manager", endpoint, b.format)
	}
	if err != nil {
		return err
	}
	defer p.stop()

	push, err := zmq.NewSocket(zmq.PUSH)
	if err != nil {
		return err
	}
	defer push.Close()
	push.SetLinger(0)
	push.SetSndtimeo(patience)
	push.SetSndhwm(100)
	push.SetImmediate(true) // the first send waits until the logger is there
	push.SetReconnectIvl(20 * time.Millisecond)
	if err := push.Connect(endpoint); err != nil {
		return err
	}
	// A row of another log, so that all is warm, and connected for sure.
	time.Sleep(200 * time.Millisecond)

	file := filepath.Join(dir, "bench.log")
	var began time.Time
	var before time.Duration
	for i := range n {
		if i == 1 {
			began, before = time.Now(), p.cpu()
		}
		if _, err := push.SendMessage(b.captured[i%len(b.captured)]); err != nil {
			return fmt.Errorf("%s: batch %d of %d: %w\n%s", p.name, i, n, err, p.output.String())
		}
	}
	first := b.rows == 0
	want := b.head + b.rows*int64(n/len(b.captured))
	same, last := 0, int64(0)
	for deadline := time.Now().Add(patience); ; time.Sleep(2 * time.Millisecond) {
		st, err := os.Stat(file)
		size := int64(0)
		if err == nil {
			size = st.Size()
		}
		if !first && size >= want {
			break
		}
		if size != last {
			same, last = 0, size
		}
		if same++; first && size > 0 && same > 500 {
			break
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("%s: after %v, %s has %d of %d bytes\n%s", p.name, patience, file, size, want, p.output.String())
		}
	}
	took, cpu, rss := time.Since(began), p.cpu()-before, p.rss()
	p.stop()

	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	head := 0 // of the lines that begin with #
	for head < len(text) && text[head] == '#' {
		head += bytes.IndexByte(text[head:], '\n') + 1
	}
	rows := text[head:]
	if i := bytes.LastIndex(rows, []byte("\n#close")); i >= 0 {
		rows = rows[:i+1]
	}
	if lines := bytes.Count(rows, []byte("\n")); lines != 1000*n {
		return fmt.Errorf("%s wrote %d rows of %d", p.name, lines, 1000*n)
	}
	if first {
		b.head, b.rows = int64(head), int64(len(rows))
		b.digest = sha256.Sum256(rows)
		return nil
	}
	for ; len(rows) > 0; rows = rows[b.rows:] {
		if int64(len(rows)) < b.rows || sha256.Sum256(rows[:b.rows]) != b.digest {
			return fmt.Errorf("%s wrote other rows than the first run", p.name)
		}
	}
	total := float64(1000 * (n - 1))
	r := &b.results[which]
	r.rates = append(r.rates, total/took.Seconds())
	r.cpus = append(r.cpus, cpu.Seconds()*1e6/total)
	r.rss = max(r.rss, rss)
	return nil
}

// process is a logger or a worker.
type process struct {
	name   string
	cmd    *exec.Cmd
	output bytes.Buffer
	ended  chan error
}

func start(dir, name string, env []string, command ...string) (*process, error) {
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return nil, err
	}
	p := &process{name: name, cmd: exec.Command(command[0], command[1:]...), ended: make(chan error, 1)}
	p.cmd.Dir = dir
	p.cmd.Env = append(os.Environ(), env...)
	p.cmd.Stdout, p.cmd.Stderr = &p.output, &p.output
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	go func() { p.ended <- p.cmd.Wait() }()
	return p, nil
}

// startZeek starts Zeek with its own backend.
func startZeek(dir, node, endpoint, format string) (*process, error) {
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return nil, err
	}
	layout := `redef Cluster::nodes += {
	["manager"] = Cluster::Node($node_type=Cluster::MANAGER, $ip=127.0.0.1, $p=0/unknown),
	["worker-1"] = Cluster::Node($node_type=Cluster::WORKER, $ip=127.0.0.1, $p=0/unknown),
};
`
	if err := os.WriteFile(filepath.Join(dir, "cluster-layout.zeek"), []byte(layout), 0o666); err != nil {
		return nil, err
	}
	json := "F"
	if format == "json" {
		json = "T"
	}
	return start(dir, "zeek", []string{"CLUSTER_NODE=" + node, "ZEEKPATH=.:" + *zeekpath, "ZEEK_PLUGIN_PATH=", "ZEEK_PLUGIN_ACTIVATE=",
		"ZEEKZMQ_DISABLE=1", "ZEEK_DISABLE_ZEEKYGEN=1", "ZEEK_ALLOW_INIT_ERRORS=1", "LC_ALL=C", "TZ=UTC", "BENCH_LOG=" + endpoint, "BENCH_JSON=" + json,
		"BENCH_XPUB=" + freeEndpoint(), "BENCH_XSUB=" + freeEndpoint()}, *zeek, "-b", *script)
}

func startLogger(dir, endpoint, format string) (*process, error) {
	command := []string{*logger, "logger", "--listen-log-endpoint", endpoint, "--dir", ".", "--format", format}
	return start(dir, "zeek-zeromq", nil, append(command, strings.Fields(*args)...)...)
}

// stop ends the process and waits for that.
func (p *process) stop() {
	if p.ended == nil {
		return
	}
	p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.ended:
	case <-time.After(patience):
		p.cmd.Process.Kill()
		<-p.ended
	}
	p.ended = nil
}

// cpu is the processor time that the process has used.
func (p *process) cpu() time.Duration {
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.cmd.Process.Pid))
	_, rest, _ := bytes.Cut(text, []byte(") "))
	f := strings.Fields(string(rest))
	if len(f) < 13 {
		return 0
	}
	user, _ := strconv.Atoi(f[11])
	system, _ := strconv.Atoi(f[12])
	return time.Duration(user+system) * 10 * time.Millisecond // USER_HZ is 100
}

// rss is the most memory that it had.
func (p *process) rss() int64 {
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	_, rest, ok := strings.Cut(string(text), "VmHWM:")
	if !ok {
		return 0
	}
	kb, err := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
	if err != nil {
		panic(errors.Join(errors.New("VmHWM of /proc/PID/status"), err))
	}
	return kb << 10
}

// freeEndpoint is where nobody listens.
func freeEndpoint() string {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	defer l.Close()
	return "tcp://" + l.Addr().String()
}
