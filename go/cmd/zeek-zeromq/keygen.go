// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/zeekzmq/zeek-zeromq/go/internal/cshim"
)

// keys are what encrypts a cluster: a pair of broker and loggers, and one of the
// nodes.
type keys struct {
	ServerPublic string `json:"curve_server_publickey"`
	ServerSecret string `json:"curve_server_secretkey"`
	ClientPublic string `json:"curve_client_publickey"`
	ClientSecret string `json:"curve_client_secretkey"`
}

func (k *keys) each(f func(name, value string)) {
	f("curve_server_publickey", k.ServerPublic)
	f("curve_server_secretkey", k.ServerSecret)
	f("curve_client_publickey", k.ClientPublic)
	f("curve_client_secretkey", k.ClientSecret)
}

func keygenCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "keygen",
		Short: "Make CURVE keys",
		Long: `Makes the two key pairs that encrypt a cluster: the server pair, of broker and loggers, and the
client pair, of all nodes. Brokers and loggers need the server's secret key and the client's
public key; nodes need the client pair and the server's public key. Zeek's nodes, which may be
any of these, take all four.

Formats: text (option, key), json, zeek (redefs for a script), env (for EnvironmentFile= of
systemd, or a shell). With --pair, one more pair alone: a client's, for --allowed-keys-file.

The secret keys are as good as the cluster: --output makes a file that only its owner can read,
and does not overwrite one.`,
		Example: `  zeek-zeromq keygen --format zeek --output keys.zeek
  zeek-zeromq keygen --format env --output /etc/zeek-zeromq/keys.env
  zeek-zeromq keygen --pair --format json`,
		Args: noArgs,
	}
	format := cmd.Flags().String("format", "text", "`format`: text, json, zeek or env")
	output := cmd.Flags().StringP("output", "o", "", "`file` to make (default: standard output)")
	complete(cmd, "format", "text", "json", "zeek", "env")
	pair := cmd.Flags().Bool("pair", false, "one client pair alone")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		write := keyFormats[*format]
		if write == nil {
			return usagef("--format %q: must be text, json, zeek or env", *format)
		}
		var k keys
		var err error
		if k.ClientPublic, k.ClientSecret, err = cshim.Keypair(); err != nil {
			return err
		}
		if !*pair {
			if k.ServerPublic, k.ServerSecret, err = cshim.Keypair(); err != nil {
				return err
			}
		}
		if *output == "" {
			return write(cmd.OutOrStdout(), &k)
		}
		f, err := os.OpenFile(*output, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
		if err != nil {
			return err
		}
		if err := errors.Join(write(f, &k), f.Close()); err != nil {
			os.Remove(*output)
			return err
		}
		return nil
	}
	return cmd
}

var keyFormats = map[string]func(io.Writer, *keys) error{
	"text": lines("%s %s\n"),
	"zeek": lines("redef Cluster::Backend::ZeroMQ::%s = \"%s\";\n"),
	// In single quotes nothing is special to systemd or a shell.
	"env": func(w io.Writer, k *keys) error {
		var b strings.Builder
		k.each(func(name, value string) {
			if value != "" {
				fmt.Fprintf(&b, "ZEEK_CLUSTER_BACKEND_ZEROMQ_%s='%s'\n", strings.ToUpper(name), value)
			}
		})
		_, err := io.WriteString(w, b.String())
		return err
	},
	"json": func(w io.Writer, k *keys) error {
		m := map[string]string{}
		k.each(func(name, value string) {
			if value != "" {
				m[name] = value
			}
		})
		e := json.NewEncoder(w)
		e.SetEscapeHTML(false)
		e.SetIndent("", "  ")
		return e.Encode(m)
	},
}

// lines writes a line for each key. Z85 has neither quotes nor backslashes, so
// that nothing needs an escape.
func lines(format string) func(io.Writer, *keys) error {
	return func(w io.Writer, k *keys) error {
		var b strings.Builder
		k.each(func(name, value string) {
			if value != "" {
				fmt.Fprintf(&b, format, name, value)
			}
		})
		_, err := io.WriteString(w, b.String())
		return err
	}
}
