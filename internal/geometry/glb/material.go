package glb

import (
	"context"

	"comfygo/internal/geometry"
	"comfygo/internal/pyjson"
)

// maps are the textures of an item as PNG files, or nil.
type maps struct{ color, roughness, normal, emissive []byte }

// material adds the material with its textures. Textures need texture coordinates; without them they are left out.
func (d *document) material(ctx context.Context, m *geometry.Mesh, index int) error {
	var p maps
	var err error
	if p.color, err = encoded(ctx, m.Texture, index); err != nil {
		return err
	}
	if m.Unlit && p.color == nil {
		d.unlit()
		return nil
	}
	if p.roughness, err = encoded(ctx, m.MetallicRoughness, index); err != nil {
		return err
	}
	if p.normal, err = encoded(ctx, m.NormalMap, index); err != nil {
		return err
	}
	if p.emissive, err = encoded(ctx, m.Emissive, index); err != nil {
		return err
	}
	if !d.attributes.Has("TEXCOORD_0") {
		p = maps{}
	}
	d.lit(m, p)
	return nil
}

// unlit shows vertex colors as they are (KHR_materials_unlit).
func (d *document) unlit() {
	const extension = "KHR_materials_unlit"
	d.materials = []any{pyjson.NewObject(
		"pbrMetallicRoughness", pyjson.NewObject("baseColorFactor", []any{1.0, 1.0, 1.0, 1.0}, "metallicFactor", 0.0, "roughnessFactor", 1.0),
		"extensions", pyjson.NewObject(extension, pyjson.NewObject()),
		"doubleSided", true)}
	d.extensions = []any{extension}
}

func (d *document) lit(m *geometry.Mesh, p maps) {
	factors := m.Material
	if factors == nil {
		factors = &geometry.Material{Metallic: -1, Roughness: -1, EmissiveStrength: 1, NormalScale: 1, OcclusionStrength: 1, DoubleSided: true}
	}
	const gray = 0.22 // bare geometry
	pbr := pyjson.NewObject("metallicFactor", 0.0, "roughnessFactor", 0.5, "baseColorFactor", []any{gray, gray, gray, 1.0})
	if p.color != nil {
		pbr.Set("baseColorTexture", textureInfo(d.texture(p.color)))
	}
	if p.color != nil || d.attributes.Has("COLOR_0") {
		pbr.Set("baseColorFactor", []any{1.0, 1.0, 1.0, 1.0}).Set("roughnessFactor", 1.0)
	}
	var packed int64
	if p.roughness != nil {
		packed = d.texture(p.roughness)
		pbr.Set("metallicRoughnessTexture", textureInfo(packed)).Set("metallicFactor", 1.0).Set("roughnessFactor", 1.0)
	}
	if factors.BaseColor != nil {
		pbr.Set("baseColorFactor", floats(factors.BaseColor))
	}
	if factors.Metallic >= 0 {
		pbr.Set("metallicFactor", factors.Metallic)
	}
	if factors.Roughness >= 0 {
		pbr.Set("roughnessFactor", factors.Roughness)
	}
	material := pyjson.NewObject("pbrMetallicRoughness", pbr, "doubleSided", factors.DoubleSided)
	if m.OcclusionInMR && p.roughness != nil {
		material.Set("occlusionTexture", textureInfo(packed).Set("strength", factors.OcclusionStrength))
	}
	if p.normal != nil {
		material.Set("normalTexture", textureInfo(d.texture(p.normal)).Set("scale", factors.NormalScale))
	}
	d.emission(material, factors, p.emissive)
	d.materials = []any{material}
}

func (d *document) emission(material *pyjson.Object, f *geometry.Material, png []byte) {
	const extension = "KHR_materials_emissive_strength"
	factor := f.Emissive
	shines := factor[0] > 0 || factor[1] > 0 || factor[2] > 0
	if !shines && png == nil {
		return
	}
	if !shines { // the factor multiplies the texture
		factor = [3]float64{1, 1, 1}
	}
	material.Set("emissiveFactor", []any{min(1, factor[0]), min(1, factor[1]), min(1, factor[2])})
	if png != nil {
		material.Set("emissiveTexture", textureInfo(d.texture(png)))
	}
	if f.EmissiveStrength != 1 {
		material.Set("extensions", pyjson.NewObject(extension, pyjson.NewObject("emissiveStrength", f.EmissiveStrength)))
		d.extensions = append(d.extensions, extension)
	}
}

func floats(list []float64) []any {
	out := make([]any, len(list))
	for i, v := range list {
		out[i] = v
	}
	return out
}
