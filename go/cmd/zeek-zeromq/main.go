// SPDX-License-Identifier: BSD-3-Clause

// Command zeek-zeromq is what a Zeek cluster over ZeroMQ needs outside of Zeek:
// a central broker, and tools that follow, publish, check and watch events. Each
// subcommand's --help says what it does; docs/tools has a page for each.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
)

// version is set when the program is linked.
var version = "devel"

// What the program exits with.
const (
	exitOK     = 0
	exitFailed = 1 // it was tried, and did not work
	exitUsage  = 2 // bad arguments: nothing was tried
)

// exitError is an error with an exit code of its own.
type exitError struct {
	error
	code int
}

func (e exitError) Unwrap() error { return e.error }

// usageError is an error in what the user gave.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

func usagef(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

func main() {
	// SIGTERM and SIGINT end what runs; a second one ends the process at once.
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	go func() {
		<-ctx.Done()
		stop()
	}()
	os.Exit(run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// run runs the program until it is done or the context ends, and returns its exit
// code.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	root := rootCommand()
	root.SetArgs(args)
	root.SetIn(stdin)
	root.SetOut(stdout)
	root.SetErr(stderr)
	cmd, err := root.ExecuteContextC(ctx)
	if err == nil {
		return exitOK
	}
	var usage usageError
	bad := errors.As(err, &usage) || strings.HasPrefix(err.Error(), "unknown command")
	if text := err.Error(); text != "" {
		fmt.Fprintf(stderr, "%s: %s\n", cmd.CommandPath(), harmless(strings.ReplaceAll(strings.TrimSpace(text), "\n", " ")))
	}
	var own exitError
	switch {
	case bad:
		return exitUsage
	case errors.As(err, &own):
		return own.code
	}
	return exitFailed
}

func rootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:   "zeek-zeromq",
		Short: "Zeek clusters over ZeroMQ, outside of Zeek",
		Long: `What a Zeek cluster over ZeroMQ needs outside of Zeek.

Options have the names that they have in Zeek's module Cluster::Backend::ZeroMQ, with
dashes: --connect-xsub-endpoint is connect_xsub_endpoint. Without any, everything is on
this machine, at Zeek's default ports.

Exit codes: 0 for success, 1 if something that was tried failed, 2 for bad arguments; check has
more, for what failed.`,
		Version:           version,
		SilenceErrors:     true,
		SilenceUsage:      true,
		Args:              noArgs,
		CompletionOptions: cobra.CompletionOptions{HiddenDefaultCmd: false},
		RunE: func(cmd *cobra.Command, args []string) error {
			return usagef("which command? See %s --help", cmd.CommandPath())
		},
	}
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return usagef("%w (see %s --help)", err, cmd.CommandPath())
	})
	root.AddCommand(brokerCommand(), loggerCommand(), keygenCommand(), subCommand(), pubCommand(), topCommand(), checkCommand(), manCommand())
	for _, c := range root.Commands() {
		c.ValidArgsFunction = cobra.NoFileCompletions
	}
	return root
}

// noArgs is cobra.NoArgs with the program's own exit code.
func noArgs(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usagef("unknown command or argument %q (see %s --help)", args[0], cmd.CommandPath())
	}
	return nil
}
