package packs

import (
	_ "embed" // for frontwords.json

	"comfygo/internal/pyjson"
)

// frontWordsFile has texts of the official front end that its server has to answer for, by language. Its panel of missing nodes tells to upgrade
// ComfyUI and to install a manager with pip, neither of which helps here. Every language that the front end has is there, since a translation
// that is missing would leave the front end's own.
//
//go:embed frontwords.json
var frontWordsFile []byte

// frontWords returns the texts, by language and key as the front end has them.
func frontWords() (*pyjson.Object, error) {
	all, err := pyjson.UnmarshalObject(frontWordsFile)
	if err != nil {
		return nil, err
	}
	out := pyjson.NewObject()
	for lang := range all.All() {
		words := all.Object(lang)
		out.Set(lang, pyjson.NewObject(
			"loadWorkflowWarning", pyjson.NewObject("outdatedVersion", words.String("missing"), "outdatedVersionGeneric", words.String("missing")),
			"rightSidePanel", pyjson.NewObject("missingNodePacks", pyjson.NewObject("ossManagerDisabledHint", words.String("packs"))),
		))
	}
	return out, nil
}
