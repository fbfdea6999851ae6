// SPDX-License-Identifier: BSD-3-Clause

package engine

import (
	"errors"
	"fmt"
	"slices"

	"github.com/zeekzmq/zeek-zeromq/go/event"
	"github.com/zeekzmq/zeek-zeromq/go/internal/cshim"
	"github.com/zeekzmq/zeek-zeromq/go/logbatch"
)

// A host decodes one format of events and one of log batches, and trusts what
// it decodes: a corrupt count makes Zeek allocate what it asks for. So the
// engine lets through only the host's formats, and of those that it knows only
// what is sound. A format that the host has from a plugin, and the engine does
// not know, is that plugin's to check.

const logFormat = "zeek-bin-serializer"

func (e *Engine) validateEvent(rec *cshim.Record) error {
	format := rec.Format()
	if e.opts.EventFormat != "" && string(format) != e.opts.EventFormat {
		return fmt.Errorf("this node decodes %q only", e.opts.EventFormat)
	}
	name, err := event.ValidateName(format, rec.Payload())
	if err == nil && len(e.opts.UndeclaredEvents) > 0 && slices.Contains(e.opts.UndeclaredEvents, string(name)) {
		return fmt.Errorf("no script declares event %q", name)
	}
	if errors.Is(err, event.ErrUnknownFormat) && e.opts.EventFormat != "" {
		return nil
	}
	return err
}

func (e *Engine) validateLog(rec *cshim.Record) error {
	format := rec.Format()
	if e.opts.LogFormat != "" && string(format) != e.opts.LogFormat {
		return fmt.Errorf("this node decodes %q only", e.opts.LogFormat)
	}
	if string(format) != logFormat {
		if e.opts.LogFormat != "" {
			return nil
		}
		return fmt.Errorf("unknown format")
	}
	return logbatch.Validate(rec.Payload())
}
