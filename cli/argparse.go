package cli

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// UsageError is a command line that can't be understood; the program answers with the error, one hint and exit code 2.
type UsageError struct {
	Message string
	// Hint is advice for the user; if it is empty, the advice is to read the help.
	Hint string
}

func (e *UsageError) Error() string { return e.Message }

func usagef(format string, a ...any) error {
	return &UsageError{Message: fmt.Sprintf(format, a...)}
}

// setting is one flag with the values it was last given.
type setting struct {
	spec   *spec
	values []string
}

// reading is a command line taken apart.
type reading struct {
	settings []setting // in the order of first use; the last use has won
	words    []string  // what belongs to no flag
	help     bool      // --help was met; nothing behind it was read
	helpAll  bool      // it was --help-all
	version  bool      // --version was met; nothing behind it was read
	off      []*spec   // switches that the environment or the config file sets to false
}

// given reports whether a flag was used.
func (r reading) given(s *spec) bool {
	return slices.ContainsFunc(r.settings, func(g setting) bool { return g.spec == s })
}

// reader applies argparse's rules (CPython's argparse.ArgumentParser, class of 3.11/3.12) to a list
// of words. Prefixes are searched in the tiers one after the other.
type reader struct {
	tiers [][]*spec
	words []string
	marks []mark
	out   reading
	index map[*spec]int // position in out.settings
	seen  []*spec       // flags with a value other than their default, in order
}

// mark classifies one word before anything is consumed.
type mark struct {
	option   bool
	end      bool // the word "--"
	spec     *spec
	explicit *string // behind "=", or glued to a short flag
}

var negativeNumber = regexp.MustCompile(`^-\d+$|^-\d*\.\d+$`)

// read takes words apart. Errors are *UsageError.
func read(words []string, tiers ...[]*spec) (reading, error) {
	r := &reader{tiers: tiers, words: words, index: map[*spec]int{}}
	if err := r.classify(); err != nil {
		return reading{}, err
	}
	for i := 0; i < len(words); {
		next, err := r.consume(i)
		if err != nil {
			return reading{}, err
		}
		if r.out.help || r.out.version {
			break
		}
		i = next
	}
	return r.out, nil
}

// classify marks every word first, as argparse does: an ambiguous prefix anywhere wins over any
// other error.
func (r *reader) classify() error {
	r.marks = make([]mark, len(r.words))
	ended := false
	for i, w := range r.words {
		if ended {
			continue
		}
		if w == "--" {
			r.marks[i] = mark{end: true}
			ended = true
			continue
		}
		m, err := r.classifyWord(w)
		if err != nil {
			return err
		}
		r.marks[i] = m
	}
	return nil
}

func (r *reader) classifyWord(w string) (mark, error) {
	if len(w) < 2 || w[0] != '-' {
		return mark{}, nil
	}
	if s := r.exact(w); s != nil {
		return mark{option: true, spec: s}, nil
	}
	name, value, hasValue := strings.Cut(w, "=")
	m := mark{option: true}
	if hasValue {
		m.explicit = &value
		if m.spec = r.exact(name); m.spec != nil {
			return m, nil
		}
	}
	found := r.prefixed(name)
	switch {
	case len(found) > 1:
		names := make([]string, len(found))
		for i, s := range found {
			names[i] = s.name
		}
		return mark{}, usagef("ambiguous option: %s could match %s", w, strings.Join(names, ", "))
	case len(found) == 1:
		m.spec = found[0]
		return m, nil
	}
	if s := r.exact(w[:2]); s != nil && w[1] != '-' {
		glued := w[2:]
		return mark{option: true, spec: s, explicit: &glued}, nil
	}
	if negativeNumber.MatchString(w) || strings.Contains(w, " ") {
		return mark{}, nil
	}
	return mark{option: true}, nil
}

func (r *reader) exact(name string) *spec {
	for _, tier := range r.tiers {
		for _, s := range tier {
			if s.name == name || s.short == name {
				return s
			}
		}
	}
	return nil
}

func (r *reader) prefixed(name string) []*spec {
	if !strings.HasPrefix(name, "--") {
		return nil
	}
	for _, tier := range r.tiers {
		var found []*spec
		for _, s := range tier {
			if strings.HasPrefix(s.name, name) {
				found = append(found, s)
			}
		}
		if len(found) > 0 {
			return found
		}
	}
	return nil
}

// consume takes the word at i with what belongs to it and returns where to go on.
func (r *reader) consume(i int) (int, error) {
	m := r.marks[i]
	if m.spec == nil {
		r.out.words = append(r.out.words, r.words[i])
		return i + 1, nil
	}
	if m.explicit != nil {
		if m.spec.kind == kindSwitch {
			return 0, usagef("argument %s: ignored explicit argument %s", m.spec.label(), quote(*m.explicit))
		}
		return i + 1, r.take(m.spec, []string{*m.explicit})
	}
	end := i + 1
	for end < len(r.words) && !r.marks[end].option && !r.marks[end].end {
		end++
	}
	n, err := m.spec.count(end - i - 1)
	if err != nil {
		return 0, err
	}
	return i + 1 + n, r.take(m.spec, r.words[i+1:i+1+n])
}

// count returns the number of the following words that belong to the flag.
func (s *spec) count(follow int) (int, error) {
	switch {
	case s.kind == kindSwitch:
		return 0, nil
	case s.nargs == any0:
		return follow, nil
	case s.nargs == any1:
		if follow == 0 {
			return 0, usagef("argument %s: expected at least one argument", s.label())
		}
		return follow, nil
	case s.nargs == optional:
		return min(follow, 1), nil
	case follow == 0:
		return 0, usagef("argument %s: expected one argument", s.label())
	default:
		return 1, nil
	}
}

// take checks one use of a flag and stores it.
func (r *reader) take(s *spec, values []string) error {
	if s.nargs == optional && len(values) == 0 {
		values = []string{s.bare}
	}
	values, isDefault, err := s.check(values)
	if err != nil {
		return err
	}
	if err := r.exclude(s, isDefault); err != nil {
		return err
	}
	switch s.name {
	case "--help":
		r.out.help = true
		return nil
	case "--help-all":
		r.out.help, r.out.helpAll = true, true
		return nil
	case "--version":
		r.out.version = true
		return nil
	}
	at, known := r.index[s]
	switch {
	case !known:
		r.index[s] = len(r.out.settings)
		r.out.settings = append(r.out.settings, setting{spec: s, values: values})
	case s.repeat:
		r.out.settings[at].values = append(r.out.settings[at].values, values...)
	default:
		r.out.settings[at].values = values
	}
	return nil
}

// exclude refuses a second member of an exclusive group. A flag given its own default value does
// not count, as in argparse.
func (r *reader) exclude(s *spec, isDefault bool) error {
	if isDefault {
		return nil
	}
	r.seen = append(r.seen, s)
	if s.group == "" {
		return nil
	}
	for _, tier := range r.tiers {
		for _, other := range tier {
			if other != s && other.group == s.group && slices.Contains(r.seen, other) {
				return usagef("argument %s: not allowed with argument %s", s.label(), other.label())
			}
		}
	}
	return nil
}
