// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"bufio"
	"fmt"
	"io"
	"math/rand"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// patience is how long a process may take for what the driver waits for.
const patience = 90 * time.Second

// proc is a process under measurement.
type proc struct {
	name  string
	dir   string
	cmd   *exec.Cmd
	stdin io.WriteCloser
	lines chan []string // what it printed after "bench"; closed at its end
	early [][]string    // what it printed before it was waited for
	end   error         // valid when lines is closed
}

// start runs a program in a folder of its own. Ctrl-C does not reach it, and it
// ends with us whatever happens.
func (b *bench) start(name, dir string, env []string, program string, args ...string) (*proc, error) {
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return nil, err
	}
	stderr, err := os.Create(filepath.Join(dir, "stderr"))
	if err != nil {
		return nil, err
	}
	defer stderr.Close()

	p := &proc{name: name, dir: dir, lines: make(chan []string, 1000)}
	p.cmd = exec.Command(program, args...)
	p.cmd.Dir, p.cmd.Env, p.cmd.Stderr = dir, env, stderr
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if p.stdin, err = p.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("cannot start %s: %v", name, err)
	}
	go func() {
		s := bufio.NewScanner(out)
		for s.Scan() {
			if w := strings.Fields(s.Text()); len(w) > 1 && w[0] == "bench" {
				p.lines <- w[1:]
			}
		}
		io.Copy(io.Discard, out)
		p.end = p.cmd.Wait()
		close(p.lines)
	}()
	return p, nil
}

// await waits for a line that starts with these words and returns the rest.
func (p *proc) await(b *bench, words ...string) ([]string, error) {
	return p.awaitWithin(b, patience, words...)
}

func (p *proc) awaitWithin(b *bench, limit time.Duration, words ...string) ([]string, error) {
	isIt := func(w []string) bool {
		return len(w) >= len(words) && strings.Join(w[:len(words)], " ") == strings.Join(words, " ")
	}
	for i, w := range p.early {
		if isIt(w) {
			p.early = append(p.early[:i], p.early[i+1:]...)
			return w[len(words):], nil
		}
	}
	late := time.After(limit)
	var last []string
	for {
		select {
		case w, ok := <-p.lines:
			if !ok {
				return nil, fmt.Errorf("%s ended (%v) before %q: %s", p.name, p.end, words, p.lastError())
			}
			if isIt(w) {
				return w[len(words):], nil
			}
			last = w
			p.early = append(p.early, w)
		case <-late:
			return nil, fmt.Errorf("%s: no %q within %v; the last it said was %q: %s", p.name, words, limit, last, p.lastError())
		case <-b.ctx.Done():
			return nil, fmt.Errorf("interrupted")
		}
	}
}

// awaitNumbers is await for lines with numbers.
func (p *proc) awaitNumbers(b *bench, n int, words ...string) ([]float64, error) {
	rest, err := p.await(b, words...)
	if err != nil {
		return nil, err
	}
	if len(rest) != n {
		return nil, fmt.Errorf("%s: %q is followed by %q, not %d numbers", p.name, words, rest, n)
	}
	v := make([]float64, n)
	for i := range rest {
		if v[i], err = strconv.ParseFloat(rest[i], 64); err != nil {
			return nil, fmt.Errorf("%s: %q: %v", p.name, words, err)
		}
	}
	return v, nil
}

func (p *proc) lastError() string {
	text, _ := os.ReadFile(filepath.Join(p.dir, "stderr"))
	var lines []string
	for _, l := range strings.Split(strings.TrimSpace(string(text)), "\n") {
		if l != "" && !strings.HasSuffix(l, "received termination signal") {
			lines = append(lines, l)
		}
	}
	if len(lines) == 0 {
		return "nothing on stderr"
	}
	return lines[len(lines)-1]
}

// goOn lets a Zeek node begin its nth step.
func (p *proc) goOn(step int) error {
	return os.WriteFile(filepath.Join(p.dir, fmt.Sprintf("go-%d", step)), nil, 0o666)
}

// line lets a node made of load.c go on.
func (p *proc) line() { io.WriteString(p.stdin, "\n") }

// terminate ends the processes, the first first, and those that do not end in
// time by force.
func terminate(procs ...*proc) {
	for _, p := range procs {
		if p == nil {
			continue
		}
		p.cmd.Process.Signal(syscall.SIGTERM)
	}
	late := time.After(8 * time.Second)
	for _, p := range procs {
		if p == nil {
			continue
		}
		for ended := false; !ended; {
			select {
			case _, ok := <-p.lines:
				ended = !ok
			case <-late:
				syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL)
				for range p.lines {
				}
				ended = true
			}
		}
	}
}

// ---- What /proc says ----

// cpu is the time that the processes have used, in seconds, all threads.
func cpu(procs ...*proc) (sum float64) {
	for _, p := range procs {
		tasks, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", p.cmd.Process.Pid))
		for _, t := range tasks {
			sum += schedstat(t)
		}
	}
	return sum
}

// mainCPU is the time that the process's main thread has used, in seconds.
func (p *proc) mainCPU() float64 {
	return schedstat(fmt.Sprintf("/proc/%d/task/%d/schedstat", p.cmd.Process.Pid, p.cmd.Process.Pid))
}

func schedstat(path string) float64 {
	text, _ := os.ReadFile(path)
	field, _, _ := strings.Cut(string(text), " ")
	ns, _ := strconv.ParseFloat(field, 64)
	return ns / 1e9
}

// memory is what a process holds.
type memory struct {
	residentMiB, peakMiB float64
	threads, descriptors int
}

func (p *proc) memory() (m memory) {
	pid := p.cmd.Process.Pid
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	for _, l := range strings.Split(string(text), "\n") {
		f := strings.Fields(l)
		if len(f) < 2 {
			continue
		}
		v, _ := strconv.ParseFloat(f[1], 64)
		switch f[0] {
		case "VmRSS:":
			m.residentMiB = v / 1024
		case "VmHWM:":
			m.peakMiB = v / 1024
		case "Threads:":
			m.threads = int(v)
		}
	}
	fds, _ := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
	m.descriptors = len(fds)
	return m
}

// freePorts looks below the ports that the system gives to outgoing connections:
// one of those may be in use a moment later.
func freePorts(n int) (ports []int, err error) {
	var held []net.Listener
	defer func() {
		for _, l := range held {
			l.Close()
		}
	}()
	for i := 0; i < 1000 && len(ports) < n; i++ {
		port := 16000 + rand.Intn(16000)
		l, e := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err = e; e == nil {
			held = append(held, l)
			ports = append(ports, port)
		}
	}
	if len(ports) < n {
		return nil, fmt.Errorf("no free ports on 127.0.0.1: %v", err)
	}
	return ports, nil
}
