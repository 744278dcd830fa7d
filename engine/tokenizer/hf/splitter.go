package hf

import (
	"fmt"
	"slices"
	"unicode/utf8"
)

// What a splitter does with its matches.
const (
	removed            = "Removed"
	isolated           = "Isolated"
	contiguous         = "Contiguous"
	mergedWithPrevious = "MergedWithPrevious"
	mergedWithNext     = "MergedWithNext"
)

// splitter divides text at matches.
type splitter struct {
	find     func(text string) [][2]int
	behavior string
	// invert makes the matches the text between what find returns.
	invert bool
}

func newSplitter(find func(string) [][2]int, behavior string, invert bool) (preTokenizer, error) {
	switch behavior {
	case removed, isolated, contiguous, mergedWithPrevious, mergedWithNext:
		return splitter{find: find, behavior: behavior, invert: invert}, nil
	}
	return nil, fmt.Errorf("the split behavior %q is not supported", behavior)
}

// runes finds single characters.
func runes(is func(rune) bool) func(string) [][2]int {
	return func(text string) [][2]int {
		var out [][2]int
		for i, r := range text {
			if is(r) {
				out = append(out, [2]int{i, i + utf8.RuneLen(r)})
			}
		}
		return out
	}
}

// piece is a part of the text: a match or the text between two matches.
type piece struct {
	from, to int
	match    bool
}

func (s splitter) split(in []span) []span {
	var out []span
	for _, sp := range in {
		for _, p := range s.pieces(sp.text) {
			if p.from < p.to {
				out = append(out, span{text: sp.text[p.from:p.to], first: sp.first && p.from == 0})
			}
		}
	}
	return out
}

// pieces divides text by the behavior.
func (s splitter) pieces(text string) []piece {
	var all []piece
	at := 0
	for _, m := range s.find(text) {
		if at < m[0] {
			all = append(all, piece{at, m[0], s.invert})
		}
		all = append(all, piece{m[0], m[1], !s.invert})
		at = m[1]
	}
	if at < len(text) {
		all = append(all, piece{at, len(text), s.invert})
	}
	switch s.behavior {
	case removed:
		return slices.DeleteFunc(all, func(p piece) bool { return p.match })
	case contiguous:
		return merge(all, func(p, previous piece) bool { return p.match == previous.match })
	case mergedWithPrevious:
		return merge(all, func(p, previous piece) bool { return p.match && !previous.match })
	case mergedWithNext:
		return mergeNext(all)
	}
	return all
}

// merge joins each piece to the one before it where join says so of the two as they were found.
func merge(all []piece, join func(p, previous piece) bool) []piece {
	var out []piece
	for i, p := range all {
		if i > 0 && join(p, all[i-1]) {
			out[len(out)-1].to = p.to
			continue
		}
		out = append(out, p)
	}
	return out
}

// mergeNext joins each match to what follows, unless that is a match too.
func mergeNext(all []piece) []piece {
	var out []piece
	for i := len(all) - 1; i >= 0; i-- {
		if i+1 < len(all) && all[i].match && !all[i+1].match {
			out[len(out)-1].from = all[i].from
			continue
		}
		out = append(out, all[i])
	}
	slices.Reverse(out)
	return out
}
