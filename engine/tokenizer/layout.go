package tokenizer

// longGroup is the number of tokens from which a group may be broken between two chunks; shorter ones move whole.
const longGroup = 8

// layOut writes the groups into chunks of MaxLength: each begins with the start mark, ends with the end mark and is
// padded. Upstream: the second half of SDTokenizer.tokenize_with_weights.
func (t *Tokenizer) layOut(groups [][]Token) Tokens {
	b := chunkBuilder{max: t.opts.MaxLength, pad: Token{ID: t.opts.PadToken, Weight: 1}}
	b.open()
	for i, group := range groups {
		for j := range group {
			group[j].WordID = i + 1
		}
		b.add(group)
	}
	b.close()
	return b.chunks
}

type chunkBuilder struct {
	max    int
	pad    Token
	chunks Tokens
	chunk  []Token
}

func (b *chunkBuilder) open() {
	b.chunk = append(make([]Token, 0, b.max), Token{ID: StartToken, Weight: 1})
}

func (b *chunkBuilder) close() {
	b.chunk = append(b.chunk, Token{ID: EndToken, Weight: 1})
	for len(b.chunk) < b.max {
		b.chunk = append(b.chunk, b.pad)
	}
	b.chunks = append(b.chunks, b.chunk)
}

// room is the number of tokens that the chunk takes before its end mark.
func (b *chunkBuilder) room() int { return b.max - 1 - len(b.chunk) }

func (b *chunkBuilder) add(group []Token) {
	// A short group that fits no empty chunk either is broken like a long one: moving it on would never end.
	breaks := len(group) >= longGroup || len(group) > b.max-2
	for len(group) > b.room() {
		if breaks {
			n := b.room()
			b.chunk = append(b.chunk, group[:n]...)
			group = group[n:]
		}
		b.close()
		b.open()
	}
	b.chunk = append(b.chunk, group...)
}
