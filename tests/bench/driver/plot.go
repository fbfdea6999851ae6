// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"fmt"
	"html"
	"math"
	"strings"
)

// The plot shows ratios to the other side, turned so that more is better: a dot
// for each pair of runs, a line at the median, a mark at the goal. The axis is
// logarithmic.

const (
	plotLeft, plotWidth, plotRow = 380, 480, 20
	plotLow, plotHigh            = 0.25, 8.0
)

func plotX(v float64) float64 {
	v = math.Min(math.Max(v, plotLow), plotHigh)
	return plotLeft + plotWidth*math.Log(v/plotLow)/math.Log(plotHigh/plotLow)
}

func (r *results) plot() string {
	var s strings.Builder
	y := 50.0
	var body strings.Builder
	for _, m := range r.Measures {
		for _, x := range m.Metrics {
			if x.Ratio == nil || len(m.Sides) < 2 {
				continue
			}
			better := func(v float64) float64 {
				if x.More {
					return v
				}
				return 1 / v
			}
			colour := "#777777"
			if x.Met != nil && x.goal.of == ratio {
				colour = "#b3261e"
				if *x.Met {
					colour = "#1b6e3c"
				}
				g := plotX(better(x.Goal))
				fmt.Fprintf(&body, `<path d="M%.1f %.1f l-5 -7 h10 z" fill="#000000"/>`+"\n", g, y-4)
			}
			fmt.Fprintf(&body, `<text x="%d" y="%.1f" text-anchor="end">%s</text>`+"\n", plotLeft-10, y+4,
				html.EscapeString(m.Name+": "+x.Name))
			for _, v := range x.Ratio.Samples {
				fmt.Fprintf(&body, `<circle cx="%.1f" cy="%.1f" r="2.5" fill="%s" fill-opacity="0.45"/>`+"\n", plotX(better(v)), y, colour)
			}
			at := better(x.Ratio.Median)
			fmt.Fprintf(&body, `<rect x="%.1f" y="%.1f" width="3" height="14" fill="%s"/>`+"\n", plotX(at)-1.5, y-7, colour)
			fmt.Fprintf(&body, `<text x="%d" y="%.1f">%.2f</text>`+"\n", plotLeft+plotWidth+10, y+4, at)
			y += plotRow
		}
	}
	height := y + 40
	fmt.Fprintf(&s, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%.0f" font-family="sans-serif" font-size="12">`+"\n",
		plotLeft+plotWidth+60, height)
	s.WriteString("<rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n")
	fmt.Fprintf(&s, `<text x="%d" y="20">times better than the other side, one dot for each pair of runs (triangle: the goal)</text>`+"\n", plotLeft-100)
	for v := plotLow; v <= plotHigh; v *= 2 {
		width := 1
		if v == 1 {
			width = 2
		}
		fmt.Fprintf(&s, `<path d="M%.1f 32 V%.1f" stroke="#cccccc" stroke-width="%d"/><text x="%.1f" y="%.1f" text-anchor="middle">%g</text>`+"\n",
			plotX(v), y, width, plotX(v), y+18, v)
	}
	s.WriteString(body.String())
	s.WriteString("</svg>\n")
	return s.String()
}
