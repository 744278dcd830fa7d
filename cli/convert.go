package cli

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// check converts the values of one use of a flag, in argparse's order and words. It returns them in
// the plain form that convert reads, and whether they equal the flag's default.
func (s *spec) check(values []string) (plain []string, isDefault bool, err error) {
	if s.kind == kindVerbose {
		return checkVerbose(values)
	}
	if s.kind == kindFeature && len(values) == 0 {
		values = s.choices
	}
	plain = make([]string, 0, len(values))
	for _, v := range values {
		c, err := s.convert(v)
		if err != nil {
			return nil, false, usagef("argument %s: %v", s.label(), err)
		}
		if s.kind != kindFeature && len(s.choices) > 0 && !slices.Contains(s.choices, v) && (!s.urls || !strings.Contains(v, "://")) {
			return nil, false, usagef("argument %s: invalid choice: %s (choose from %s)", s.label(), quote(v), quoteAll(s.choices))
		}
		plain = append(plain, fmt.Sprint(c))
		isDefault = isDefault || (!s.list() && s.kind == kindInt && c == s.def)
	}
	return plain, isDefault, nil
}

// checkVerbose joins LEVEL and FILE to one value; a level holds no blank, so the first one parts them.
func checkVerbose(values []string) ([]string, bool, error) {
	switch {
	case len(values) == 0:
		return []string{"DEBUG"}, false, nil
	case len(values) <= 2 && slices.Contains(LogLevels, values[0]):
		return []string{strings.Join(values, " ")}, false, nil
	default:
		return nil, false, usagef("--verbose expects no values, a console LEVEL, or LEVEL FILE")
	}
}

// convert turns one word into the flag's value: bool, string, int, float64 or LogTarget.
func (s *spec) convert(v string) (any, error) {
	switch s.kind {
	case kindSwitch:
		return strconv.ParseBool(v)
	case kindInt:
		n, err := strconv.Atoi(pythonNumber(v))
		if err != nil {
			return nil, fmt.Errorf("invalid int value: %s", quote(v))
		}
		return n, nil
	case kindFloat:
		return convertFloat(v)
	case kindFeature:
		if !slices.Contains(s.choices, v) {
			return nil, fmt.Errorf("invalid PerformanceFeature value: %s", quote(v))
		}
		return v, nil
	case kindDir:
		return convertDir(v)
	case kindVerbose:
		level, file, _ := strings.Cut(v, " ")
		return LogTarget{Level: level, File: file}, nil
	default:
		return v, nil
	}
}

func convertFloat(v string) (any, error) {
	text := pythonNumber(v)
	f, err := strconv.ParseFloat(text, 64)
	if errors.Is(err, strconv.ErrRange) {
		err = nil // what is too large is infinite in Python
	}
	if err != nil || strings.ContainsAny(text, "xXpP") {
		return nil, fmt.Errorf("invalid float value: %s", quote(v))
	}
	return f, nil
}

// convertDir accepts only a directory that can be read, with upstream's three refusals.
func convertDir(v string) (any, error) {
	info, err := os.Stat(v)
	switch {
	case err != nil:
		return nil, fmt.Errorf("The path '%s' does not exist.", v) //nolint:revive,staticcheck // launchers know upstream's sentence
	case !info.IsDir():
		return nil, fmt.Errorf("'%s' is not a directory.", v) //nolint:revive,staticcheck // upstream's sentence
	case !readable(filepath.Clean(v)):
		return nil, fmt.Errorf("You do not have read permissions for '%s'.", v) //nolint:revive,staticcheck // upstream's sentence
	}
	return v, nil
}

// pythonNumber converts a number from Python's spelling to Go's: Python allows blanks around it and single
// underscores between digits.
func pythonNumber(v string) string {
	v = strings.TrimSpace(v)
	var b strings.Builder
	for i := 0; i < len(v); i++ {
		if v[i] == '_' && i > 0 && i+1 < len(v) && digit(v[i-1]) && digit(v[i+1]) {
			continue
		}
		if v[i] == '_' {
			return "" // no number in either language
		}
		b.WriteByte(v[i])
	}
	return b.String()
}

func digit(c byte) bool { return c >= '0' && c <= '9' }

// quote writes a word as Python's repr does.
func quote(v string) string {
	q := "'"
	if strings.Contains(v, "'") && !strings.Contains(v, `"`) {
		q = `"`
	}
	var b strings.Builder
	for _, r := range v {
		switch {
		case r == '\\' || string(r) == q:
			b.WriteRune('\\')
			b.WriteRune(r)
		case strconv.IsPrint(r):
			b.WriteRune(r)
		default:
			b.WriteString(escape(r))
		}
	}
	return q + b.String() + q
}

// escape writes a character that does not show, lest it change the terminal.
func escape(r rune) string {
	switch {
	case r == '\n':
		return `\n`
	case r == '\r':
		return `\r`
	case r == '\t':
		return `\t`
	case r < 0x100:
		return fmt.Sprintf(`\x%02x`, r)
	case r < 0x10000:
		return fmt.Sprintf(`\u%04x`, r)
	}
	return fmt.Sprintf(`\U%08x`, r)
}

func quoteAll(values []string) string {
	quoted := make([]string, len(values))
	for i, v := range values {
		quoted[i] = quote(v)
	}
	return strings.Join(quoted, ", ")
}
