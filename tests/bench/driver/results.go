// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sort"
	"strconv"
	"strings"
	"time"
)

// metric is something that a measure gives.
type metric struct {
	name string
	unit string
	more bool // is better
	goal *goal
}

// goal is what ours should reach: a bound on the ratio to the other side, on the
// difference to it, or on our own value.
type goal struct {
	of    string // "ratio", "difference" or "ours"
	value float64
}

const (
	ratio      = "ratio"
	difference = "difference"
	ours       = "ours"
)

func (g *goal) text(more bool, unit string) string {
	op := "<="
	if more {
		op = ">="
	}
	switch g.of {
	case ratio:
		return fmt.Sprintf("%s %.2f", op, g.value)
	case difference:
		return fmt.Sprintf("%s +%s %s", op, number(g.value), unit)
	}
	return fmt.Sprintf("%s %s %s", op, number(g.value), unit)
}

// summary is what a side's samples come to.
type summary struct {
	Median  float64   `json:"median"`
	Min     float64   `json:"min"`
	Max     float64   `json:"max"`
	Samples []float64 `json:"samples"`
}

func summarize(v []float64) summary {
	if len(v) == 0 {
		return summary{}
	}
	return summary{percentile(v, 50), percentile(v, 0), percentile(v, 100), v}
}

// percentile interpolates between the samples.
func percentile(v []float64, p float64) float64 {
	if len(v) == 0 {
		return math.NaN()
	}
	s := append([]float64(nil), v...)
	sort.Float64s(s)
	at := p / 100 * float64(len(s)-1)
	low := int(at)
	if low+1 == len(s) {
		return s[low]
	}
	return s[low] + (at-float64(low))*(s[low+1]-s[low])
}

// measuredMetric is a metric with its samples. Ratios are of the two runs of a
// pair, which had about the same load on the machine beside them.
type measuredMetric struct {
	Name   string   `json:"name"`
	Unit   string   `json:"unit"`
	More   bool     `json:"more_is_better"`
	Base   summary  `json:"base"`
	Ours   summary  `json:"ours"`
	Ratio  *summary `json:"ratio,omitempty"` // none where the other side's value is 0
	GoalOf string   `json:"goal_of,omitempty"`
	Goal   float64  `json:"goal,omitempty"`
	Value  float64  `json:"goal_value,omitempty"` // what is held against the goal
	Met    *bool    `json:"goal_met,omitempty"`
	goal   *goal
}

func newMetric(x metric, base, our []float64) measuredMetric {
	m := measuredMetric{Name: x.name, Unit: x.unit, More: x.more, Base: summarize(base), Ours: summarize(our), goal: x.goal}
	var ratios, differences []float64
	for i := range our {
		if i < len(base) {
			differences = append(differences, our[i]-base[i])
			if base[i] > 0 && our[i] > 0 {
				ratios = append(ratios, our[i]/base[i])
			}
		}
	}
	if len(ratios) > 0 && len(ratios) == len(our) {
		s := summarize(ratios)
		m.Ratio = &s
	}
	if g := x.goal; g != nil && (len(base) > 0 || g.of == ours) {
		m.GoalOf, m.Goal = g.of, g.value
		switch {
		case g.of == ours:
			m.Value = m.Ours.Median
		case g.of == difference:
			m.Value = percentile(differences, 50)
		case m.Ratio != nil:
			m.Value = m.Ratio.Median
		default:
			m.Value = math.MaxFloat64
		}
		met := m.Value <= g.value
		if x.more {
			met = m.Value >= g.value
		}
		m.Met = &met
	}
	return m
}

// measured is a measure with what it gave.
type measured struct {
	Name    string           `json:"name"`
	What    string           `json:"what"`
	Sides   []string         `json:"sides"` // the other, ours
	Metrics []measuredMetric `json:"metrics"`
	Invalid []string         `json:"invalid,omitempty"` // pairs that do not count, and why
	NotRun  string           `json:"not_run,omitempty"`
	Seconds float64          `json:"seconds"`
}

type facts struct {
	CPU        string    `json:"cpu"`
	Cores      int       `json:"cores"`
	MemoryMiB  int       `json:"memory_mib"`
	Kernel     string    `json:"kernel"`
	System     string    `json:"system"`
	Zeek       string    `json:"zeek"`
	ZeekBuild  string    `json:"zeek_build"`
	Libzmq     string    `json:"libzmq"`
	Go         string    `json:"go"`
	C          string    `json:"c"`
	Version    string    `json:"version"`
	LoadBefore []float64 `json:"load_average_before"`
	LoadAfter  []float64 `json:"load_average_after"`
	Pairs      int       `json:"pairs"`
	Scale      float64   `json:"scale"`
}

type results struct {
	Started  time.Time   `json:"started"`
	Seconds  float64     `json:"seconds"`
	Facts    facts       `json:"facts"`
	Measures []*measured `json:"measures"`
}

// firstLine of what a program prints; empty if it does not run.
func firstLine(program string, args ...string) string {
	out, err := exec.Command(program, args...).Output()
	if err != nil {
		return ""
	}
	line, _, _ := strings.Cut(strings.TrimSpace(string(out)), "\n")
	return line
}

// valueIn finds "key: value" or "key=value" in a file.
func valueIn(path, key string) string {
	text, _ := os.ReadFile(path)
	for _, l := range strings.Split(string(text), "\n") {
		if rest, ok := strings.CutPrefix(l, key); ok {
			return strings.Trim(strings.TrimLeft(rest, " \t:="), `"`)
		}
	}
	return ""
}

func loadAverage() (v []float64) {
	text, _ := os.ReadFile("/proc/loadavg")
	for _, f := range strings.Fields(string(text))[:min(3, len(strings.Fields(string(text))))] {
		x, _ := strconv.ParseFloat(f, 64)
		v = append(v, x)
	}
	return v
}

func machineFacts(b *bench) facts {
	f := facts{CPU: valueIn("/proc/cpuinfo", "model name"), Cores: runtime.NumCPU(), Kernel: firstLine("uname", "-sr"),
		System: valueIn("/etc/os-release", "PRETTY_NAME"), Libzmq: firstLine("pkg-config", "--modversion", "libzmq"),
		Go: runtime.Version(), C: firstLine("cc", "--version"), Version: *flagVersion, LoadBefore: loadAverage(),
		Pairs: b.pairs, Scale: b.scale}
	kb, _ := strconv.Atoi(strings.TrimSuffix(valueIn("/proc/meminfo", "MemTotal"), " kB"))
	f.MemoryMiB = kb / 1024
	if b.zeek != "" {
		f.Zeek = firstLine(b.zeek, "--version")
		f.ZeekBuild = firstLine(filepath.Join(filepath.Dir(b.zeek), "zeek-config"), "--build_type")
	}
	return f
}

func (r *results) failed() (names []string) {
	for _, m := range r.Measures {
		if m.NotRun == "" && len(m.Metrics) == 0 {
			names = append(names, m.Name)
		}
	}
	return names
}

func (r *results) write(dir string) error {
	text, err := json.MarshalIndent(r, "", " ")
	if err != nil {
		return err
	}
	for name, content := range map[string]string{"results.json": string(text) + "\n", "table.md": r.table(true), "plot.svg": r.plot()} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o666); err != nil {
			return err
		}
	}
	return nil
}

// The marks in a document between which its table is.
const (
	tableBegin = "<!-- table: make bench -->\n"
	tableEnd   = "<!-- end -->\n"
)

// document replaces the table in a document, and the plot beside it.
func (r *results) document(path string) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	before, rest, found := strings.Cut(string(text), tableBegin)
	_, after, ended := strings.Cut(rest, tableEnd)
	if !found || !ended {
		return fmt.Errorf("%s: no %q before %q", path, tableBegin, tableEnd)
	}
	text = []byte(before + tableBegin + "\n" + r.Facts.text() + r.table(true) + "\n" + tableEnd + after)
	if err := os.WriteFile(path, text, 0o666); err != nil {
		return err
	}
	return os.WriteFile(strings.TrimSuffix(path, filepath.Ext(path))+".svg", []byte(r.plot()), 0o666)
}

// number writes a value with three digits that matter.
func number(v float64) string {
	switch a := math.Abs(v); {
	case math.IsNaN(v):
		return "-"
	case a >= 10000:
		s := strconv.FormatFloat(v, 'f', 0, 64)
		for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
			s = s[:i] + "," + s[i:]
		}
		return s
	case a >= 100:
		return strconv.FormatFloat(v, 'f', 0, 64)
	case a >= 10:
		return strconv.FormatFloat(v, 'f', 1, 64)
	}
	return strconv.FormatFloat(v, 'f', 2, 64)
}

func (s summary) text() string {
	return fmt.Sprintf("%s (%s to %s)", number(s.Median), number(s.Min), number(s.Max))
}

// table is for people: as text, or as Markdown.
func (r *results) table(markdown bool) string {
	var rows [][]string
	var notes []string
	for _, m := range r.Measures {
		for i, x := range m.Metrics {
			name := m.Name
			if i > 0 && !markdown {
				name = ""
			}
			ratio, goal, met := "", "", ""
			if x.Ratio != nil {
				ratio = fmt.Sprintf("%.2f (%.2f to %.2f)", x.Ratio.Median, x.Ratio.Min, x.Ratio.Max)
			}
			if x.goal != nil {
				goal, met = x.goal.text(x.More, x.Unit), "missed"
				if x.Met == nil {
					met = ""
				} else if *x.Met {
					met = "met"
				}
			}
			base := x.Base.text()
			if len(m.Sides) == 1 {
				base, ratio = "", ""
			}
			rows = append(rows, []string{name, x.Name, x.Unit, base, x.Ours.text(), ratio, goal, met})
		}
		if m.NotRun != "" {
			notes = append(notes, m.Name+": not run, "+m.NotRun)
		}
		for _, why := range m.Invalid {
			notes = append(notes, m.Name+": invalid, "+why)
		}
	}
	head := []string{"measure", "what", "unit", "other", "ours", "ratio", "goal", ""}
	out := r.Facts.text()
	if markdown {
		out = "| " + strings.Join(head, " | ") + " |\n|" + strings.Repeat(" --- |", len(head)) + "\n"
		for _, row := range rows {
			out += "| " + strings.Join(row, " | ") + " |\n"
		}
	} else {
		out += columns(append([][]string{head}, rows...))
	}
	for _, n := range notes {
		out += "\n" + n
	}
	if len(notes) > 0 {
		out += "\n"
	}
	return out
}

func (f facts) text() string {
	zeek := strings.TrimPrefix(f.Zeek, filepath.Dir(*flagZeek)+"/")
	if zeek == "" {
		zeek = "no Zeek"
	}
	return fmt.Sprintf("%s, %d cores, %s, %s, libzmq %s, %s; load average %v to %v; %d pairs\n\n", f.CPU, f.Cores, f.Kernel, zeek,
		f.Libzmq, f.Go, f.LoadBefore, f.LoadAfter, f.Pairs)
}

func columns(rows [][]string) (out string) {
	widths := map[int]int{}
	for _, r := range rows {
		for i, c := range r {
			widths[i] = max(widths[i], len(c))
		}
	}
	for _, r := range rows {
		line := ""
		for i, c := range r {
			line += c + strings.Repeat(" ", widths[i]-len(c)+2)
		}
		out += strings.TrimRight(line, " ") + "\n"
	}
	return out
}
