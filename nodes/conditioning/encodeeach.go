package conditioning

import (
	"comfygo/engine"
	"comfygo/nodes"
)

// encodeEach encodes a separate prompt for each encoder, by key. even are the encoders whose prompts are padded to the
// same number of chunks.
func encodeEach(ctx *nodes.Context, c *engine.CLIP, prompts map[string]string, even ...string) (engine.Conditioning, error) {
	tokens, err := tokenizeEach(ctx, c, prompts, even...)
	if err != nil {
		return nil, err
	}
	return c.EncodeTokens(ctx, tokens)
}

func tokenizeEach(ctx *nodes.Context, c *engine.CLIP, prompts map[string]string, even ...string) (engine.Tokens, error) {
	if c == nil {
		return nil, errNoCLIP()
	}
	for key := range prompts {
		if taken, _ := c.Takes(key); !taken {
			return nil, nodes.Errorf("KeyError", "encoding a prompt: text encoders of type %s have no %s; load those of the model family that this node is for", c.Type(), key)
		}
	}
	return c.TokenizeEach(ctx, func(key string) string { return prompts[key] }, even...)
}
