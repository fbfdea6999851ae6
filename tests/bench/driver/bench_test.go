// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"encoding/json"
	"encoding/xml"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func sample() *results {
	x := metric{name: "events, <64> B", unit: "1/s", more: true, goal: &goal{ratio, 2}}
	y := metric{name: "start", unit: "ms", goal: &goal{difference, 30}}
	return &results{Measures: []*measured{
		{Name: "one", Sides: []string{builtin, plugin}, Metrics: []measuredMetric{
			newMetric(x, []float64{10, 20, 40}, []float64{30, 40, 120}),
			newMetric(y, []float64{100, 110, 120}, []float64{140, 150, 160})}},
		{Name: "two", Sides: []string{builtin, plugin}, NotRun: "needs Zeek", Invalid: []string{"pair 1: lost"}},
	}}
}

func TestPercentile(t *testing.T) {
	v := []float64{40, 10, 30, 20}
	for p, want := range map[float64]float64{0: 10, 50: 25, 100: 40, 75: 32.5} {
		if got := percentile(v, p); got != want {
			t.Errorf("percentile %g is %g, want %g", p, got, want)
		}
	}
	if !math.IsNaN(percentile(nil, 50)) || percentile([]float64{7}, 99) != 7 {
		t.Error("none or one sample")
	}
	if v[0] != 40 {
		t.Error("the samples were sorted in place")
	}
}

func TestGoals(t *testing.T) {
	m := sample().Measures[0].Metrics
	if m[0].Ratio.Median != 3 || m[0].Value != 3 || !*m[0].Met {
		t.Errorf("ratio of pairs: %+v", m[0])
	}
	if m[1].Value != 40 || *m[1].Met {
		t.Errorf("difference of pairs: %+v", m[1])
	}
	own := newMetric(metric{name: "growth", unit: "MiB", goal: &goal{ours, 2}}, nil, []float64{1, 1.5, 9})
	if own.Value != 1.5 || !*own.Met || own.Ratio != nil {
		t.Errorf("own value: %+v", own)
	}
	// A side that gave nothing has neither ratio nor verdict.
	if half := newMetric(metric{name: "x", goal: &goal{ratio, 1}}, nil, []float64{1}); half.Met != nil {
		t.Errorf("half a pair: %+v", half)
	}
}

func TestNumbersAreReadable(t *testing.T) {
	for v, want := range map[float64]string{0.123: "0.12", 12.34: "12.3", 123.4: "123", 1234: "1234", 12345: "12,345", 1234567: "1,234,567", -12345: "-12,345"} {
		if got := number(v); got != want {
			t.Errorf("%v is written %q, want %q", v, got, want)
		}
	}
}

func TestOutputs(t *testing.T) {
	dir := t.TempDir()
	r := sample()
	if err := r.write(dir); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(dir, "results.json"))
	if err != nil {
		t.Fatal(err)
	}
	var back results
	if err := json.Unmarshal(text, &back); err != nil {
		t.Fatal(err)
	}
	if got := back.Measures[0].Metrics[0].Ours.Samples; len(got) != 3 || got[2] != 120 {
		t.Errorf("samples in results.json: %v", got)
	}
	table := r.table(false)
	for _, want := range []string{"3.00 (2.00 to 3.00)", ">= 2.00", "met", "<= +30.0 ms", "missed", "two: not run, needs Zeek", "two: invalid, pair 1: lost"} {
		if !strings.Contains(table, want) {
			t.Errorf("no %q in\n%s", want, table)
		}
	}
	plot, err := os.Open(filepath.Join(dir, "plot.svg"))
	if err != nil {
		t.Fatal(err)
	}
	defer plot.Close()
	circles := 0
	for d := xml.NewDecoder(plot); ; {
		token, err := d.Token()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatalf("plot.svg: %v", err)
		}
		if e, ok := token.(xml.StartElement); ok && e.Name.Local == "circle" {
			circles++
		}
	}
	if circles != 6 {
		t.Errorf("%d dots in the plot, want one for each pair: 6", circles)
	}
}

func TestDocument(t *testing.T) {
	path := filepath.Join(t.TempDir(), "performance.md")
	if err := os.WriteFile(path, []byte("above\n"+tableBegin+"old\n"+tableEnd+"below\n"), 0o666); err != nil {
		t.Fatal(err)
	}
	if err := sample().document(path); err != nil {
		t.Fatal(err)
	}
	text, _ := os.ReadFile(path)
	s := string(text)
	if !strings.HasPrefix(s, "above\n"+tableBegin) || !strings.HasSuffix(s, tableEnd+"below\n") || strings.Contains(s, "old") ||
		!strings.Contains(s, "| one | events, <64> B |") {
		t.Errorf("the document is\n%s", s)
	}
	if _, err := os.Stat(strings.TrimSuffix(path, ".md") + ".svg"); err != nil {
		t.Error(err)
	}
	if err := os.WriteFile(path, []byte("no marks"), 0o666); err != nil {
		t.Fatal(err)
	}
	if err := sample().document(path); err == nil {
		t.Error("a document without marks was taken")
	}
}

func TestUnknownMeasure(t *testing.T) {
	if _, err := selectMeasures([]string{"one", "frobnicate"}); err == nil || !strings.Contains(err.Error(), `"frobnicate"`) {
		t.Errorf("%v does not name the measure", err)
	}
	list, err := selectMeasures([]string{"logs", "one"})
	if err != nil || len(list) != 2 || list[0].name != "one" {
		t.Errorf("%v, %v", list, err)
	}
}

// Every measure says what it gives, once.
func TestMeasuresAreDeclared(t *testing.T) {
	seen := map[string]bool{}
	for _, m := range measures {
		if seen[m.name] || m.what == "" || m.run == nil || len(m.sides) == 0 {
			t.Errorf("measure %q", m.name)
		}
		seen[m.name] = true
		names := map[string]bool{}
		for _, x := range m.metrics {
			if names[x.name] {
				t.Errorf("%s has %q twice", m.name, x.name)
			}
			names[x.name] = true
		}
	}
}
