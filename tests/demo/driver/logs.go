// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"strings"
)

// A logFile is what one or more processes wrote to logs of one name.
type logFile struct {
	fields []string
	types  []string
	rows   [][]string
}

// logs are log files by name, such as "conn".
type logs map[string]*logFile

func (l logs) rows() (n int) {
	for _, f := range l {
		n += len(f.rows)
	}
	return n
}

func (l logs) names() []string {
	var names []string
	for name := range l {
		names = append(names, name)
	}
	sort.Strings(names)
	return names
}

func (l *logFile) column(name string) int {
	for i, f := range l.fields {
		if f == name {
			return i
		}
	}
	return -1
}

// distinct is the number of different values in a column, unset ones left out.
func (l logs) distinct(log, column string) int {
	seen := map[string]bool{}
	if f := l[log]; f != nil {
		if i := f.column(column); i >= 0 {
			for _, r := range f.rows {
				if i < len(r) && r[i] != "-" {
					seen[r[i]] = true
				}
			}
		}
	}
	return len(seen)
}

// readLogs reads the logs in the folders, but those about the processes
// themselves, as one.
func readLogs(k *kind, dirs ...string) (logs, error) {
	all := logs{}
	for _, dir := range dirs {
		files, err := filepath.Glob(filepath.Join(dir, "*.log"))
		if err != nil {
			return nil, err
		}
		for _, path := range files {
			name := strings.TrimSuffix(filepath.Base(path), ".log")
			if k.ownLogs[name] {
				continue
			}
			if all[name] == nil {
				all[name] = &logFile{}
			}
			if err := all[name].read(path); err != nil {
				return nil, err
			}
		}
	}
	return all, nil
}

func (l *logFile) read(path string) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	for _, line := range strings.Split(strings.TrimSuffix(string(text), "\n"), "\n") {
		columns := strings.Split(line, "\t")
		switch {
		case !strings.HasPrefix(line, "#"):
			l.rows = append(l.rows, columns)
		case columns[0] == "#fields":
			if l.fields != nil && strings.Join(l.fields, "\t") != strings.Join(columns[1:], "\t") {
				return fmt.Errorf("%s has other columns than its like", path)
			}
			l.fields = columns[1:]
		case columns[0] == "#types":
			l.types = columns[1:]
		}
	}
	return nil
}

// canonical makes rows comparable between processes. The ids of connections
// start with a random number in each process: they are replaced by what
// conn.log says about the connection, wherever they occur. Sets are sorted.
func (l logs) canonical() map[string][]string {
	connections := map[string]string{}
	if conn := l["conn"]; conn != nil {
		uid, key := conn.column("uid"), []int{}
		for _, f := range []string{"ts", "proto", "id.orig_h", "id.orig_p", "id.resp_h", "id.resp_p"} {
			key = append(key, conn.column(f))
		}
		for _, r := range conn.rows {
			var parts []string
			for _, i := range key {
				if i >= 0 && i < len(r) {
					parts = append(parts, r[i])
				}
			}
			if uid >= 0 && uid < len(r) {
				connections[r[uid]] = strings.Join(parts, " ")
			}
		}
	}

	result := map[string][]string{}
	for name, f := range l {
		for _, r := range f.rows {
			row := make([]string, len(r))
			for i, v := range r {
				row[i] = v
				if c, ok := connections[v]; ok {
					row[i] = c
				} else if i < len(f.types) && strings.HasPrefix(f.types[i], "set[") {
					set := strings.Split(v, ",")
					for j := range set {
						if c, ok := connections[set[j]]; ok {
							set[j] = c
						}
					}
					sort.Strings(set)
					row[i] = strings.Join(set, ",")
				}
			}
			result[name] = append(result[name], strings.Join(row, "\t"))
		}
		sort.Strings(result[name])
	}
	return result
}

// A difference between two logs of one name.
type difference struct {
	missing, extra int
	example        string // a row that only one of them has
}

// compare finds the rows that only one of two sorted lists has.
func compare(want, have []string) (d difference) {
	i, j := 0, 0
	for i < len(want) || j < len(have) {
		switch {
		case j == len(have) || i < len(want) && want[i] < have[j]:
			if d.missing == 0 {
				d.example = want[i]
			}
			d.missing++
			i++
		case i == len(want) || have[j] < want[i]:
			if d.extra == 0 && d.missing == 0 {
				d.example = have[j]
			}
			d.extra++
			j++
		default:
			i++
			j++
		}
	}
	return d
}

// A rowCounter counts rows in a folder's logs while they are being written.
type rowCounter struct {
	rows  int
	files map[string]int64 // how much of each was read, up to the end of a line
}

func (c *rowCounter) update(k *kind, dir string) {
	if c.files == nil {
		c.files = map[string]int64{}
	}
	paths, _ := filepath.Glob(filepath.Join(dir, "*.log"))
	for _, path := range paths {
		if k.ownLogs[strings.TrimSuffix(filepath.Base(path), ".log")] {
			continue
		}
		c.files[path] += c.count(path, c.files[path])
	}
}

func (c *rowCounter) count(path string, offset int64) (read int64) {
	info, err := os.Stat(path)
	if err != nil || info.Size() <= offset {
		return 0
	}
	f, err := os.Open(path)
	if err != nil {
		return 0
	}
	defer f.Close()
	b := make([]byte, info.Size()-offset)
	n, _ := f.ReadAt(b, offset)
	b = b[:n]
	for {
		end := bytes.IndexByte(b, '\n')
		if end < 0 {
			return read
		}
		if b[0] != '#' {
			c.rows++
		}
		b = b[end+1:]
		read += int64(end + 1)
	}
}
