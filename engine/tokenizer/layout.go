package tokenizer

// longGroup is the number of tokens from which a group may be split between two chunks; shorter ones move whole.
const longGroup = 8

// layOut writes the groups into chunks. Upstream: the second half of SDTokenizer.tokenize_with_weights.
func (t *Tokenizer) layOut(groups [][]Token) Tokens {
	b := chunkBuilder{Options: t.opts}
	b.open()
	for i, group := range groups {
		for j := range group {
			group[j].WordID = i + 1
		}
		b.add(group)
	}
	b.end()
	if n := t.opts.MinPadding; n > 0 {
		b.pad(n)
	}
	b.fill()
	if n := t.opts.MinLength - len(b.chunk); n > 0 {
		b.pad(n)
	}
	b.close()
	return b.chunks
}

// chunkBuilder fills one chunk after the other.
type chunkBuilder struct {
	Options
	chunks Tokens
	chunk  []Token
}

func (b *chunkBuilder) open() {
	b.chunk = make([]Token, 0, min(b.MaxLength, 128))
	if b.Start != None {
		b.chunk = append(b.chunk, Token{ID: b.Start, Weight: 1})
	}
}

func (b *chunkBuilder) end() {
	if b.End != None {
		b.chunk = append(b.chunk, Token{ID: b.End, Weight: 1})
	}
}

func (b *chunkBuilder) pad(n int) {
	padding := make([]Token, n)
	for i := range padding {
		padding[i] = Token{ID: b.Pad, Weight: 1}
	}
	if b.PadLeft {
		b.chunk = append(padding, b.chunk...)
	} else {
		b.chunk = append(b.chunk, padding...)
	}
}

// fill pads the chunk to the full length where the options ask for it.
func (b *chunkBuilder) fill() {
	if n := b.MaxLength - len(b.chunk); b.PadToMax && n > 0 {
		b.pad(n)
	}
}

func (b *chunkBuilder) close() { b.chunks = append(b.chunks, b.chunk) }

// reserved is the number of tokens at a chunk's end that are kept for the end token.
func (b *chunkBuilder) reserved() int {
	if b.End != None {
		return 1
	}
	return 0
}

// room is the number of tokens that the chunk still takes before its end token.
func (b *chunkBuilder) room() int { return b.MaxLength - b.reserved() - len(b.chunk) }

// add appends a group, opening chunks as needed.
func (b *chunkBuilder) add(group []Token) {
	// A short group that does not fit an empty chunk either is split like a long one: moving it on would never end.
	empty := b.MaxLength - b.reserved()
	if b.Start != None {
		empty--
	}
	splits := len(group) >= longGroup || len(group) > empty
	for len(group) > b.room() {
		if splits {
			n := b.room()
			b.chunk = append(b.chunk, group[:n]...)
			group = group[n:]
		}
		b.end()
		b.fill()
		b.close()
		b.open()
	}
	b.chunk = append(b.chunk, group...)
}
