// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
)

// What needs no Zeek: processes made of ../load.c.

func (b *bench) load(name, dir string, args ...any) (*proc, error) {
	var words []string
	for _, a := range args {
		words = append(words, fmt.Sprint(a))
	}
	env := []string{"PATH=" + os.Getenv("PATH"), "ZEEKZMQ_LIBRARY=" + filepath.Join(*flagBuild, "lib", "libzeekzmq.so")}
	return b.start(name, filepath.Join(dir, name), env, *flagLoad, words...)
}

// startBroker starts a broker of a kind that load.c knows: "broker" or "proxy".
func (b *bench) startBroker(kind string) (p *proc, dir, xpub, xsub string, err error) {
	b.runs++
	dir = filepath.Join(b.work, fmt.Sprintf("%03d-%s", b.runs, kind))
	ports, err := freePorts(2)
	if err != nil {
		return nil, "", "", "", err
	}
	xpub, xsub = fmt.Sprintf("tcp://127.0.0.1:%d", ports[0]), fmt.Sprintf("tcp://127.0.0.1:%d", ports[1])
	if p, err = b.load("broker", dir, kind, xpub, xsub, 2); err != nil {
		return nil, "", "", "", err
	}
	if _, err = p.await(b, "up"); err != nil {
		terminate(p)
		return nil, "", "", "", err
	}
	return p, dir, xpub, xsub, nil
}

// ---- broker ----

var flows = []struct {
	pubs, subs, count, size int
}{{1, 1, 1000000, 64}, {2, 4, 200000, 64}, {1, 1, 40000, 16384}}

func flowName(i int, what string) string {
	return fmt.Sprintf("%s, %d to %d, %s", what, flows[i].pubs, flows[i].subs, sizeName(flows[i].size))
}

func brokerMetrics() (list []metric) {
	for i := range flows {
		list = append(list, metric{name: flowName(i, "messages in"), unit: "1/s", more: true, goal: &goal{ratio, 1}},
			metric{name: flowName(i, "broker's CPU"), unit: "us/message"})
	}
	return list
}

func runBroker(b *bench, side string) (numbers, error) {
	kind := map[string]string{"zmq_proxy": "proxy", "broker": "broker"}[side]
	broker, dir, xpub, xsub, err := b.startBroker(kind)
	if err != nil {
		return nil, err
	}
	defer terminate(broker)
	r := numbers{}
	for i, f := range flows {
		count := b.scaled(f.count)
		p, err := b.load(fmt.Sprintf("flow-%d", i), dir, "flow", xpub, xsub, f.pubs, f.subs, count, f.size)
		if err != nil {
			return nil, err
		}
		took, used := 0.0, 0.0
		err = func() error {
			defer terminate(p)
			if _, err := p.await(b, "up"); err != nil {
				return err
			}
			before := cpu(broker)
			p.line()
			v, err := p.awaitNumbers(b, 1, "flowed")
			if err != nil {
				return fmt.Errorf("messages were lost: %w", err)
			}
			took, used = v[0], cpu(broker)-before
			return nil
		}()
		if err != nil {
			return nil, err
		}
		n := float64(count * f.pubs)
		r[flowName(i, "messages in")] = n / took
		r[flowName(i, "broker's CPU")] = used * 1e6 / n
	}
	return r, nil
}

// ---- engine ----

func engineMetrics() []metric {
	return []metric{
		{name: "hand-over, sender's thread, CPU", unit: "us/event"},
		{name: "events, 64 B", unit: "1/s", more: true},
		{name: "CPU, all processes, 64 B", unit: "us/event"},
		{name: roundtripName(100, 50), unit: "us"},
		{name: roundtripName(100, 99), unit: "us"},
		{name: roundtripName(10000, 50), unit: "us"},
		{name: roundtripName(10000, 99), unit: "us"},
		{name: roundtripName(10000, 99.9), unit: "us"},
	}
}

func runEngine(b *bench, side string) (numbers, error) {
	kind := map[string]string{"plain": "proxy", "engine": "broker"}[side]
	broker, dir, xpub, xsub, err := b.startBroker(kind)
	if err != nil {
		return nil, err
	}
	defer terminate(broker)
	r := numbers{}

	n := b.scaled(300000)
	if err := b.nodePair(dir, "flow", side, xpub, xsub, []any{"receive", n}, []any{"send", n, 64}, func(receiver, sender *proc) error {
		before := cpu(broker, receiver, sender)
		sender.line()
		v, err := sender.awaitNumbers(b, 3, "sent")
		if err != nil {
			return err
		}
		got, err := receiver.awaitNumbers(b, 1, "received")
		if err != nil {
			return fmt.Errorf("events were lost: %w", err)
		}
		r["hand-over, sender's thread, CPU"] = v[2] * 1e6 / float64(n)
		r["events, 64 B"] = float64(n) / (got[0] - v[0])
		r["CPU, all processes, 64 B"] = (cpu(broker, receiver, sender) - before) * 1e6 / float64(n)
		return nil
	}); err != nil {
		return nil, err
	}

	for _, x := range rates[1:] {
		n := b.scaled(x.count)
		if err := b.nodePair(dir, "rate-"+strconv.Itoa(x.rate), side, xpub, xsub, []any{"echo", n}, []any{"ask", n, x.rate}, func(_, asker *proc) error {
			asker.line()
			if _, err := asker.await(b, "answered"); err != nil {
				return fmt.Errorf("answers were lost: %w", err)
			}
			return addPercentiles(r, filepath.Join(asker.dir, "times-1"), x.rate)
		}); err != nil {
			return nil, err
		}
	}
	return r, nil
}

// nodePair runs two nodes of load.c, and what is to be done with them once they
// are up.
func (b *bench) nodePair(dir, name, side, xpub, xsub string, one, other []any, do func(one, other *proc) error) error {
	var procs [2]*proc
	defer func() { terminate(procs[:]...) }()
	for i, what := range [][]any{one, other} {
		p, err := b.load(fmt.Sprintf("%s-%v", name, what[0]), dir, append([]any{side, what[0], xpub, xsub}, what[1:]...)...)
		if err != nil {
			return err
		}
		procs[i] = p
	}
	for _, p := range procs {
		if _, err := p.await(b, "up"); err != nil {
			return err
		}
	}
	return do(procs[0], procs[1])
}

// ---- flat ----

func runFlat(b *bench, side string) (numbers, error) {
	broker, dir, xpub, xsub, err := b.startBroker("broker")
	if err != nil {
		return nil, err
	}
	defer terminate(broker)
	rounds, idle := 24, 60
	switch {
	case *flagTiny:
		rounds, idle = 8, 1
	case *flagQuick:
		idle = 2
	}
	p, err := b.load("churn", dir, "churn", xpub, xsub, rounds, idle)
	if err != nil {
		return nil, err
	}
	defer terminate(p)
	var resident []float64
	for i := 0; i < rounds; i++ {
		v, err := p.awaitNumbers(b, 1, "resident")
		if err != nil {
			return nil, err
		}
		resident = append(resident, v[0]/1024)
	}
	rest, err := p.awaitNumbers(b, 1, "idle")
	if err != nil {
		return nil, err
	}
	// By the half of it, allocators and Go's collector have what they want.
	third, fourth := resident[rounds/2:rounds*3/4], resident[rounds*3/4:]
	return numbers{
		"highest":                             percentile(resident, 100),
		"growth, third to last quarter of it": percentile(fourth, 100) - percentile(third, 100),
		"growth, idle":                        rest[0]/1024 - resident[rounds-1],
	}, nil
}
