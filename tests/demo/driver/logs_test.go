// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const connHeader = "#separator \\x09\n#fields\tts\tuid\tid.orig_h\tid.orig_p\tid.resp_h\tid.resp_p\tproto\n" +
	"#types\ttime\tstring\taddr\tport\taddr\tport\tenum\n"

const httpHeader = "#fields\tts\tuid\thost\ttags\n#types\ttime\tstring\tstring\tset[string]\n"

// written puts logs into a folder each and returns the folders.
func written(t *testing.T, dirs ...map[string]string) (paths []string) {
	for _, logs := range dirs {
		dir := t.TempDir()
		for name, text := range logs {
			if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o666); err != nil {
				t.Fatal(err)
			}
		}
		paths = append(paths, dir)
	}
	return paths
}

func rowsOf(t *testing.T, log string, dirs ...string) []string {
	t.Helper()
	l, err := readLogs(&kind{ownLogs: map[string]bool{"reporter": true}}, dirs...)
	if err != nil {
		t.Fatal(err)
	}
	if l["reporter"] != nil {
		t.Error("a process's own log was read")
	}
	return l.canonical()[log]
}

func TestIdsAndOrderMakeNoDifference(t *testing.T) {
	one := written(t, map[string]string{
		"conn.log": connHeader + "1.0\tCa\t10.0.0.1\t1\t10.0.0.2\t80\ttcp\n2.0\tCb\t10.0.0.3\t2\t10.0.0.2\t80\ttcp\n",
		"http.log": httpHeader + "1.5\tCa\ta.example\tx,y\n2.5\tCb\tb.example\t(empty)\n",
	})
	split := written(t,
		map[string]string{
			"conn.log":     connHeader + "2.0\tCq\t10.0.0.3\t2\t10.0.0.2\t80\ttcp\n",
			"http.log":     httpHeader + "1.5\tCp\ta.example\ty,x\n",
			"reporter.log": "#fields\tts\n3.0\n",
		},
		map[string]string{
			"conn.log": connHeader + "1.0\tCp\t10.0.0.1\t1\t10.0.0.2\t80\ttcp\n#close\t2026-01-01-00-00-00\n",
			"http.log": httpHeader + "2.5\tCq\tb.example\t(empty)\n",
		})
	for _, log := range []string{"conn", "http"} {
		if d := compare(rowsOf(t, log, one...), rowsOf(t, log, split...)); d != (difference{}) {
			t.Errorf("%s.log differs: %+v", log, d)
		}
	}
}

func TestAnotherConnectionsIdIsADifference(t *testing.T) {
	conns := connHeader + "1.0\tCa\t10.0.0.1\t1\t10.0.0.2\t80\ttcp\n2.0\tCb\t10.0.0.3\t2\t10.0.0.2\t80\ttcp\n"
	dirs := written(t,
		map[string]string{"conn.log": conns, "http.log": httpHeader + "1.5\tCa\ta.example\tx\n"},
		map[string]string{"conn.log": conns, "http.log": httpHeader + "1.5\tCb\ta.example\tx\n"})
	if d := compare(rowsOf(t, "http", dirs[0]), rowsOf(t, "http", dirs[1])); d.missing != 1 || d.extra != 1 {
		t.Errorf("not noticed: %+v", d)
	}
}

func TestCompare(t *testing.T) {
	for _, c := range []struct {
		want, have     string
		missing, extra int
		example        string
	}{
		{"", "", 0, 0, ""},
		{"a b c", "a b c", 0, 0, ""},
		{"a b c", "a c", 1, 0, "b"},
		{"a b c", "a b b c", 0, 1, "b"},
		{"a b b", "a b", 1, 0, "b"},
		{"a b", "a x", 1, 1, "b"},
		{"", "x y", 0, 2, "x"},
		{"x y", "", 2, 0, "x"},
	} {
		d := compare(strings.Fields(c.want), strings.Fields(c.have))
		if d != (difference{c.missing, c.extra, c.example}) {
			t.Errorf("compare(%q, %q) = %+v", c.want, c.have, d)
		}
	}
}

func TestRowCounterReadsWholeLinesOnly(t *testing.T) {
	dir := t.TempDir()
	f, err := os.Create(filepath.Join(dir, "conn.log"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var c rowCounter
	for _, step := range []struct {
		text string
		rows int
	}{{"#fields\tts\n", 0}, {"1.0\n2.", 1}, {"0\n", 2}, {"", 2}, {"3.0\n4.0\n#close\n", 4}} {
		f.WriteString(step.text)
		if c.update(&kind{}, dir); c.rows != step.rows {
			t.Errorf("%d rows after %q, not %d", c.rows, step.text, step.rows)
		}
	}
}
