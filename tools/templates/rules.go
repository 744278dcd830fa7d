package main

import (
	"regexp"
	"strings"
)

// rule maps the name of a file to the family that it needs, by its name in the registry.
type rule struct {
	files *regexp.Regexp
	need  string
}

func rules(kind string, list ...string) []rule {
	var out []rule
	for i := 0; i < len(list); i += 2 {
		out = append(out, rule{regexp.MustCompile("(?i)" + list[i]), kind + list[i+1]})
	}
	return out
}

// diffusion are the rules of diffusion models, alone or in checkpoints. The first that fits counts.
var diffusion = rules("model ",
	`^ltx-2\.5|^ltx-2`, "LTX-Video 2", `^ltx-video`, "LTX-Video",
	`^sdpose`, "Stable Diffusion 1.x", `^lotus`, "Lotus", `^sd_xl_refiner`, "Stable Diffusion XL refiner", `^sd_xl|^sdxl`, "Stable Diffusion XL", `^sd3`, "Stable Diffusion 3",
	`^v1-5|^dreamshaper|^512-inpaint`, "Stable Diffusion 1.x", `^svd`, "Stable Video Diffusion",
	`^ace_step_v1\.5|^ace_step_1\.5|^acestep_v1\.5`, "ACE-Step 1.5", `^ace_step`, "ACE-Step", `^stable.audio.3`, "Stable Audio 3", `^stable.audio`, "Stable Audio",
	`^hidream_o1`, "HiDream O1", `^hidream`, "HiDream I1", `^hunyuan.?3d.*v2\.1`, "Hunyuan3D 2.1", `^hunyuan3d`, "Hunyuan3D 2",
	`^hunyuanvideo1\.5`, "HunyuanVideo 1.5", `^hunyuan_video`, "HunyuanVideo", `^capybara`, "HunyuanVideo 1.5", `^netayume`, "Lumina 2", `^newbie`, "Lumina 2",
	`^qwen_image|^firered`, "Qwen-Image", `^z_image`, "Z-Image", `^flux.?2`, "Flux.2", `fill-dev`, "Flux.1 Fill", `schnell`, "Flux.1 schnell", `^flux`, "Flux.1", `^anima`, "Anima",
	`^pid_`, "PiD", `^pixeldit`, "PixelDiT", `^omnigen2`, "OmniGen2", `^krea2`, "Krea 2", `^chroma-radiance`, "Chroma Radiance", `^chroma1`, "Chroma", `^longcat`, "LongCat-Image",
	`^ovis`, "Flux.1", `^kandinsky5`, "Kandinsky 5", `^ideogram`, "Ideogram 4", `^boogu`, "Boogu", `^lens`, "Lens", `^mage_flow`, "Mage-Flow", `^joyai`, "JoyImage", `^ernie`, "ERNIE-Image",
	`^minimax_h3`, "MiniMax H3", `^minimax_music`, "MiniMax Music 3", `^seedvr2`, "SeedVR2", `^rt_detr`, "RT-DETR v4", `^sam3`, "SAM 3", `^triposplat`, "TripoSplat", `^void_|^cogvideo`, "CogVideoX",
	`^wan_animate_2`, "Wan Animate 2", `animate`, "Wan 2.2 Animate", `scail.?2`, "Wan 2.1 SCAIL 2", `scail`, "Wan 2.1 SCAIL", `dancer`, "WanDancer", `s2v`, "Wan 2.2 S2V", `humo`, "Wan 2.1 HuMo", `vace`, "Wan 2.1 VACE",
	`wan2\.2.*camera`, "Wan 2.2 Fun Camera", `camera`, "Wan 2.1 Fun Camera", `^causal`, "Wan 2.1 Causal AR", `ti2v_5b`, "Wan 2.2 5B", `^wan|^chrono_edit`, "Wan 2.1",
)

// others are the rules of the other folders. Those without a need are for any model: LoRA and what the class that loads it reads.
var others = map[string][]rule{
	"text_encoders": rules("text encoder ",
		`^umt5_xxl`, "umt5xxl", `^qwen3vl_32b`, "qwen3vl_32b", `^qwen3vl_8b`, "qwen3vl_8b", `^qwen3vl_4b`, "qwen3vl_4b", `^qwen3\.5_4b`, "qwen35_4b", `^qwen3\.5`, "qwen35_2b", `^qwen_2\.5_vl_fp16`, "qwen25_3b", `^qwen_2\.5_vl`, "qwen25_7b",
		`^qwen_3_06b`, "qwen3_06b", `^qwen_0\.6b_ace`, "qwen3_06b", `^qwen_1\.7b_ace`, "qwen3_2b", `^qwen_4b_ace`, "qwen3_4b", `^qwen_3_4b`, "qwen3_4b", `^qwen_3_8b`, "qwen3_8b", `^ovis_2`, "qwen3_2b",
		`^clip_l`, "clip_l", `^clip_g`, "clip_g", `^t5xxl`, "t5xxl", `^t5-base`, "t5base", `^t5gemma`, "t5gemma", `^byt5`, "byt5_small", `^gemma_3_12b`, "gemma3_12b", `^gemma_3_4b`, "gemma3_4b", `^gemma_2_2b`, "gemma2_2b",
		`^gemma4.*with-proj`, "gemma4_ltx", `^gemma4|^gemma-4`, "gemma4", `^llama_3`, "llama", `^llava`, "llama", `^mistral_3`, "mistral3_24b", `^ministral`, "ministral3_3b", `^gpt_oss`, "gpt_oss", `^ernie`, "ministral3_3b", `^jina`, "jina_clip_2", `^minimax_music`, "minimax_music3", `^minimax`, "minimax",
	),
	"vae": rules("VAE ",
		`^flux2|full_encoder_small_decoder`, "AutoencoderKL", `^ae\.|^vae-ft`, "AutoencoderKL", `^qwen_image|^wan.?2.?1|^wan_alpha`, "Wan 2.1 VAE", `^wan2\.2`, "Wan 2.2 VAE", `^hunyuanvideo15`, "HunyuanVideo 1.5 VAE", `^hunyuan_video`, "HunyuanVideo VAE",
		`^ace_1\.5`, "Oobleck VAE (audio)", `^mage`, "Mage-Flow VAE", `^ltx-2\.5-video`, "LTX-Video 2.5 VAE", `^ltx.*audio`, "LTX-Video 2 audio VAE", `^ltx`, "LTX-Video VAE", `^seedvr2`, "SeedVR2 VAE", `^minimax_h3_audio`, "MiniMax H3 audio VAE", `^minimax_h3`, "MiniMax H3 VAE", `^minimax`, "MiniMax Music 3 VAE", `^cogvideo`, "CogVideoX VAE", `^triposplat`, "TripoSplat VAE",
	),
	"controlnet":  rules("ControlNet ", `^qwen`, "ControlNet for Qwen-Image", `^sd3`, "ControlNet for Stable Diffusion 3", `flux`, "ControlNet for Flux.1", `.`, "ControlNet for Stable Diffusion 1.x, 2.x and XL"),
	"clip_vision": rules("image encoder ", `^dino`, "DINOv3", `.`, "CLIP vision"), "upscale_models": rules("upscale model ", `.`, "ESRGAN"),
	"audio_encoders": rules("audio encoder ", `^whisper`, "Whisper", `^wav2vec2`, "Wav2Vec2"),
}

// loaded are folders of files that are read by the class that loads them: LoRA for the models, and models that a class carries.
var loaded = []string{"loras", "model_patches", "style_models", "geometry_estimation", "optical_flow", "background_removal", "frame_interpolation", "latent_upscale_models", "embeddings"}

// needOf returns what a file "folder/name" needs, "" for nothing but its class; a file that no rule knows needs itself.
func needOf(file string) string {
	folder, name, _ := strings.Cut(file, "/")
	list := others[folder]
	if folder == "diffusion_models" || folder == "checkpoints" || folder == "unet" {
		list = diffusion
	}
	for _, r := range list {
		if r.files.MatchString(name) {
			return r.need
		}
	}
	for _, f := range loaded {
		if f == folder {
			return ""
		}
	}
	return "file " + file
}
