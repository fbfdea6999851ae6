// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"fmt"
	"os"
	"strings"
	"time"
)

var (
	onTerminal = isTerminal()
	colours    = onTerminal && os.Getenv("NO_COLOR") == ""
)

func isTerminal() bool {
	info, err := os.Stdout.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0 && os.Getenv("TERM") != "" && os.Getenv("TERM") != "dumb"
}

func colour(code, s string) string {
	if !colours {
		return s
	}
	return "\x1b[" + code + "m" + s + "\x1b[0m"
}

func bold(s string) string  { return colour("1", s) }
func green(s string) string { return colour("1;32", s) }
func red(s string) string   { return colour("1;31", s) }

// number writes 12345 as 12,345.
func number(n int) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// plural is "1 row" or "2,000 rows".
func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return number(n) + " " + what + "s"
}

// A bar is one line of the progress.
type bar struct {
	name       string
	have, want int
}

// A screen shows the progress: in place on a terminal, else as a line now and
// then.
type screen struct {
	began time.Time
	last  time.Time
	drawn bool
	line  string
}

func newScreen() *screen {
	s := &screen{began: time.Now()}
	fmt.Println()
	if onTerminal {
		fmt.Print("\x1b[?25l") // no cursor
	}
	return s
}

func (s *screen) close() {
	if onTerminal {
		fmt.Print("\x1b[?25h")
	}
}

const barWidth = 30

func (s *screen) show(bars []bar, final bool) {
	if onTerminal {
		if s.drawn {
			fmt.Printf("\x1b[%dA", len(bars))
		}
		for _, b := range bars {
			full := barWidth
			if b.want > 0 {
				full = min(barWidth, barWidth*b.have/b.want)
			}
			fmt.Printf("  %-20s %s%s %s of %s\x1b[K\n", b.name, colour("32", strings.Repeat("█", full)),
				strings.Repeat("░", barWidth-full), number(b.have), number(b.want))
		}
		s.drawn = true
		return
	}

	if !final && time.Since(s.last) < time.Second {
		return
	}
	var parts []string
	for _, b := range bars {
		parts = append(parts, fmt.Sprintf("%s %s/%s", b.name, number(b.have), number(b.want)))
	}
	s.last = time.Now()
	if line := strings.Join(parts, ", "); line != s.line {
		s.line = line
		fmt.Printf("  %4.1fs  %s\n", time.Since(s.began).Seconds(), line)
	}
}

// A table is rows of cells; the first row is the heading. The first column and
// the last are texts, the others numbers.
type table [][]string

func (t table) print() {
	var width []int
	for _, r := range t {
		for i, cell := range r {
			if i == len(width) {
				width = append(width, 0)
			}
			width[i] = max(width[i], len(cell))
		}
	}
	for n, r := range t {
		line := " "
		for i, cell := range r {
			switch {
			case i == 0:
				line += fmt.Sprintf(" %-*s", width[i], cell)
			case i == len(r)-1:
				line += "   " + cell
			default:
				line += fmt.Sprintf("   %*s", width[i], cell)
			}
		}
		if n == 0 {
			line = bold(line)
		}
		fmt.Println(line)
	}
}

// lower makes the start of a sentence one that can follow other words.
func lower(s string) string { return strings.ToLower(s[:1]) + s[1:] }
