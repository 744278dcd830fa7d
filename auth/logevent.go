package auth

import (
	"context"
	"log/slog"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// longestField bounds what an unauthenticated caller can write into one field of the audit log, in bytes.
const longestField = 512

// clean makes one line of visible characters of untrusted text: control characters, line and
// paragraph separators and the marks that turn the direction of writing are escaped as in Go, and too long a text is cut.
func clean(s string) string {
	if len(s) > longestField {
		cut := longestField
		for cut > 0 && !utf8.RuneStart(s[cut]) {
			cut--
		}
		s = s[:cut] + "…"
	}
	if strings.IndexFunc(s, hidden) < 0 && utf8.ValidString(s) {
		return s
	}
	var b strings.Builder
	for i, r := range s {
		switch {
		case r == utf8.RuneError && !strings.HasPrefix(s[i:], "\ufffd"):
			b.WriteString(`\x` + strconv.FormatUint(uint64(s[i])+0x100, 16)[1:])
		case hidden(r):
			quoted := strconv.QuoteRuneToASCII(r)
			b.WriteString(quoted[1 : len(quoted)-1])
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

// hidden reports whether a character can forge a line or hide in one.
func hidden(r rune) bool {
	return unicode.IsControl(r) || unicode.Is(unicode.Cf, r) || r == '\u2028' || r == '\u2029'
}

// cleaned is the event as it is written.
func (e Event) cleaned() Event {
	for _, f := range []*string{&e.Owner, &e.Name, &e.KeyID, &e.Addr, &e.Target, &e.Detail} {
		*f = clean(*f)
	}
	e.Action, e.Result = Action(clean(string(e.Action))), Result(clean(string(e.Result)))
	return e
}

// logEvent writes an event as one line of the log. What was refused is a warning.
func logEvent(ctx context.Context, log *slog.Logger, e Event) {
	if log == nil {
		return
	}
	e = e.cleaned()
	level := slog.LevelInfo
	if e.Result != ResultOK {
		level = slog.LevelWarn
	}
	attrs := []slog.Attr{slog.String("action", string(e.Action)), slog.String("result", string(e.Result))}
	for _, a := range []struct{ name, value string }{
		{"owner", e.Owner},
		{"name", e.Name},
		{"key", e.KeyID},
		{"address", e.Addr},
		{"target", e.Target},
		{"detail", e.Detail},
	} {
		if a.value != "" {
			attrs = append(attrs, slog.String(a.name, a.value))
		}
	}
	log.LogAttrs(ctx, level, "audit", attrs...)
}
