// Package pyre matches Python's regular expressions (the re module of Python 3.11, str patterns).
//
// A pattern is translated to the .NET syntax of regexp2, which backtracks as Python does; what Python refuses is refused. Case-insensitive
// matching uses regexp2's folding, which lacks a few of Python's pairs (ſ and s).
package pyre

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/dlclark/regexp2/v2"

	"comfygo/internal/pystr"
)

// Error describes a fault of a pattern or a replacement, like re.error.
type Error struct{ Text string }

// Error returns the text.
func (e *Error) Error() string { return e.Text }

// ExceptionType is the name that clients see.
func (e *Error) ExceptionType() string { return "re.error" }

// TimeoutError is returned when matching takes too long, which nested repetitions can cause.
type TimeoutError struct{ Limit time.Duration }

// Error names the limit.
func (e *TimeoutError) Error() string {
	return fmt.Sprintf("matching a regular expression: it takes longer than %v; simplify nested repetitions", e.Limit)
}

// ExceptionType is the name that clients see.
func (*TimeoutError) ExceptionType() string { return "TimeoutError" }

// Flags are those of Python's re.
type Flags struct{ IgnoreCase, Multiline, DotAll bool }

// Pattern is a compiled pattern.
type Pattern struct {
	re      *regexp2.Regexp
	text    string // in .NET's syntax
	options []regexp2.CompileOption
	groups  int
	names   map[string]int
	limit   time.Duration
}

const (
	limit    = 10 * time.Second
	maxStack = 1 << 22 // elements of the backtracking stack
)

// Compile compiles a pattern; the error is an *Error when the pattern is wrong.
func Compile(pattern string, f Flags) (*Pattern, error) {
	t := &translator{src: []rune(pattern), names: map[string]int{}, flags: flags{i: f.IgnoreCase, m: f.Multiline, s: f.DotAll}}
	text, err := t.translate()
	if err != nil {
		return nil, err
	}
	p := &Pattern{text: text, groups: t.groups, names: t.names, limit: limit}
	p.options = []regexp2.CompileOption{t.flags.options(), regexp2.OptionMaxBacktrackingStackSize(maxStack)}
	p.re, err = p.compile(text)
	return p, err
}

func (p *Pattern) compile(text string) (*regexp2.Regexp, error) {
	re, err := regexp2.Compile(text, p.options...)
	if err != nil {
		return nil, &Error{err.Error()}
	}
	re.MatchTimeout = p.limit
	return re, nil
}

// Within limits the time of each search, which is 10 seconds otherwise, and returns p.
func (p *Pattern) Within(d time.Duration) *Pattern {
	p.limit, p.re.MatchTimeout = d, d
	return p
}

// Groups returns the number of groups.
func (p *Pattern) Groups() int { return p.groups }

// Match is one match in a text.
type Match struct {
	m          *regexp2.Match
	start, end int // in runes
}

// Group returns what group i matched, the whole match for 0; ok is false when the group took no part.
func (m Match) Group(i int) (text string, ok bool) {
	g := m.m.GroupByNumber(i)
	if g == nil || len(g.Captures) == 0 {
		return "", false
	}
	return g.String(), true
}

// Each calls visit for the matches of a text, from left to right, until it returns false. As in Python an empty match may follow another
// match directly.
func (p *Pattern) Each(ctx context.Context, text string, visit func(Match) bool) error {
	return p.each(ctx, []rune(text), visit)
}

func (p *Pattern) each(ctx context.Context, runes []rune, visit func(Match) bool) error {
	end := time.Now().Add(p.limit)
	at, re := 0, p.re
	var advance *regexp2.Regexp // the same pattern, but not for an empty match where the search starts
	for at <= len(runes) {
		if err := context.Cause(ctx); err != nil {
			return err
		}
		m, err := re.FindRunesMatchStartingAt(runes, at)
		switch {
		case err != nil, time.Now().After(end):
			return &TimeoutError{p.limit}
		case m == nil:
			return nil
		}
		found := Match{m, m.RuneIndex, m.RuneIndex + m.RuneLength}
		if !visit(found) {
			return nil
		}
		at, re = found.end, p.re
		if found.start == found.end {
			if advance == nil {
				if advance, err = p.compile("(?:" + p.text + ")(?!\\G)"); err != nil {
					return err
				}
			}
			re = advance
		}
	}
	return nil
}

// Search returns the first match; ok is false without a match.
func (p *Pattern) Search(ctx context.Context, text string) (m Match, ok bool, err error) {
	err = p.Each(ctx, text, func(found Match) bool {
		m, ok = found, true
		return false
	})
	return m, ok, err
}

// Sub replaces the first count matches, all when count is 0, by a template in Python's form.
func (p *Pattern) Sub(ctx context.Context, template, text string, count int) (string, error) {
	parts, err := p.template(template)
	if err != nil {
		return "", err
	}
	var b strings.Builder
	var tooLong error
	runes, at, n := []rune(text), 0, 0
	err = p.each(ctx, runes, func(m Match) bool {
		b.WriteString(string(runes[at:m.start]))
		for _, part := range parts {
			if part.group < 0 {
				b.WriteString(part.text)
				continue
			}
			s, _ := m.Group(part.group)
			b.WriteString(s)
		}
		at = m.end
		n++
		tooLong = pystr.CheckSize(b.Len())
		return tooLong == nil && (count <= 0 || n < count)
	})
	if err = errors.Join(err, tooLong); err != nil {
		return "", err
	}
	b.WriteString(string(runes[at:]))
	return b.String(), pystr.CheckSize(b.Len())
}
