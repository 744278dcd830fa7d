package pyre

import (
	"context"
	"strings"
)

// SubFunc replaces each match by what f gives for it; an error of f ends the search.
func (p *Pattern) SubFunc(ctx context.Context, text string, f func(Match) (string, error)) (string, error) {
	runes := []rune(text)
	var out strings.Builder
	var failed error
	last := 0
	err := p.each(ctx, runes, func(m Match) bool {
		var with string
		if with, failed = f(m); failed != nil {
			return false
		}
		out.WriteString(string(runes[last:m.start]))
		out.WriteString(with)
		last = m.end
		return true
	})
	if err == nil {
		err = failed
	}
	if err != nil {
		return "", err
	}
	return out.String() + string(runes[last:]), nil
}
