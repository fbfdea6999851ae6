// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"bufio"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// manCommand prints the manual page. It is for the Makefile.
func manCommand() *cobra.Command {
	return &cobra.Command{
		Use:    "man",
		Short:  "Print the manual page",
		Hidden: true,
		Args:   noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			out := bufio.NewWriter(cmd.OutOrStdout())
			writeMan(out, cmd.Root())
			return out.Flush()
		},
	}
}

// writeMan writes a page in man's macros, made of what --help says.
func writeMan(w io.Writer, root *cobra.Command) {
	root.InitDefaultCompletionCmd()
	fmt.Fprintf(w, ".TH ZEEK\\-ZEROMQ 1 \"\" \"zeek\\-zeromq %s\" \"User Commands\"\n", roff(version))
	fmt.Fprintf(w, ".SH NAME\nzeek\\-zeromq \\- %s\n", roff(root.Short))
	fmt.Fprint(w, ".SH SYNOPSIS\n.B zeek\\-zeromq\n.I COMMAND\n[\\fIOPTION\\fR...] [\\fIARGUMENT\\fR...]\n")
	fmt.Fprint(w, ".SH DESCRIPTION\n")
	writeProse(w, root.Long)

	fmt.Fprint(w, ".SH COMMANDS\n")
	var shown []*cobra.Command
	for _, c := range root.Commands() {
		if c.IsAvailableCommand() && c.Name() != "help" {
			shown = append(shown, c)
			fmt.Fprintf(w, ".TP\n.B %s\n%s\n", roff(c.Name()), roff(c.Short))
		}
	}
	for _, c := range shown {
		fmt.Fprintf(w, ".SH \"%s\"\n.B zeek\\-zeromq %s\n.PP\n", strings.ToUpper(roff(c.Name())), roff(c.Use))
		if c.Name() == "completion" {
			fmt.Fprint(w, "Prints a script for\n.B bash\\fR,\n.B zsh\nor\n.B fish\\fR.\n.B make install\nputs them where shells look for them.\n")
			continue
		}
		writeProse(w, c.Long)
		if f := c.LocalFlags(); f.HasAvailableFlags() {
			fmt.Fprint(w, ".SS Options\n")
			f.VisitAll(func(f *pflag.Flag) { writeFlag(w, f) })
		}
		if c.Example != "" {
			fmt.Fprint(w, ".SS Examples\n.nf\n")
			for _, line := range strings.Split(c.Example, "\n") {
				fmt.Fprintln(w, roff(line))
			}
			fmt.Fprint(w, ".fi\n")
		}
	}

	fmt.Fprint(w, ".SH ENVIRONMENT\n.TP\n.B ZEEK_CLUSTER_BACKEND_ZEROMQ_CURVE_{SERVER,CLIENT}_{PUBLICKEY,SECRETKEY}\n"+
		"Keys of CURVE, as Zeek's nodes take them. A key that is also given as an option is an error.\n"+
		".TP\n.B NO_COLOR\nIf it is not empty,\n.B top\nuses no colours.\n"+
		".TP\n.B NOTIFY_SOCKET\\fR, \\fBWATCHDOG_USEC\nOf systemd, for services: see\n.BR sd_notify (3).\n")
	fmt.Fprint(w, ".SH SEE ALSO\n.BR zeek (8),\n.BR zmq_curve (7)\n")
}

// writeProse writes help's text: what is indented stays as it is.
func writeProse(w io.Writer, text string) {
	asIs := false
	for _, line := range strings.Split(strings.TrimSpace(text), "\n") {
		if indented := strings.HasPrefix(line, "  "); line != "" && indented != asIs {
			asIs = indented
			fmt.Fprintln(w, map[bool]string{true: ".nf", false: ".fi"}[asIs])
		}
		switch {
		case line == "" && asIs:
			fmt.Fprintln(w, ".sp")
		case line == "":
			fmt.Fprintln(w, ".PP")
		default:
			fmt.Fprintln(w, roff(line))
		}
	}
	if asIs {
		fmt.Fprintln(w, ".fi")
	}
}

func writeFlag(w io.Writer, f *pflag.Flag) {
	if f.Hidden {
		return
	}
	name, usage := pflag.UnquoteUsage(f)
	fmt.Fprint(w, ".TP\n")
	if f.Shorthand != "" {
		fmt.Fprintf(w, "\\fB\\-%s\\fR, ", roff(f.Shorthand))
	}
	fmt.Fprintf(w, "\\fB\\-\\-%s\\fR", roff(f.Name))
	switch {
	case name != "" && f.NoOptDefVal != "" && name != "T|F":
	case name == "T|F" || name == "":
		if name != "" {
			fmt.Fprint(w, "[=T|F]")
		}
	default:
		fmt.Fprintf(w, " \\fI%s\\fR", roff(name))
	}
	usage = roff(usage)
	switch f.DefValue {
	case "", "false", "[]", "0s":
	default:
		usage += roff(fmt.Sprintf(" (default %s)", f.DefValue))
	}
	fmt.Fprintf(w, "\n%s\n", usage)
}

// roff escapes text: what begins a request, escapes and minus signs.
func roff(s string) string {
	s = strings.NewReplacer(`\`, `\e`, "-", `\-`, "'", `\(aq`, "`", `\(ga`, "^", `\(ha`, "~", `\(ti`, `"`, `\(dq`).Replace(s)
	if strings.HasPrefix(s, ".") {
		s = `\&` + s
	}
	return s
}
