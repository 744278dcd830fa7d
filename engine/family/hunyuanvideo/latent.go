package hunyuanvideo

import "comfygo/engine/sampling"

// latent15 is the latent format of HunyuanVideo 1.5. Upstream: latent_formats.HunyuanVideo15.
var latent15 = sampling.LatentFormat{
	Channels: 32, Scale: 1.03682, Downscale: 16, Video: true, TinyVAE: "lighttaehy1_5",
	RGB: [][3]float32{
		{0.0568, -0.0521, -0.0131},
		{0.0014, 0.0735, 0.0326},
		{0.0186, 0.0531, -0.0138},
		{-0.0031, 0.0051, 0.0288},
		{0.011, 0.0556, 0.0432},
		{-0.0041, -0.0023, -0.0485},
		{0.053, 0.0413, 0.0253},
		{0.0283, 0.0251, 0.0339},
		{0.0277, -0.0372, -0.0093},
		{0.0393, 0.0944, 0.1131},
		{0.002, 0.0251, 0.0037},
		{-0.0017, 0.0012, 0.0234},
		{0.0468, 0.0436, 0.0203},
		{0.0354, 0.0439, -0.0233},
		{0.009, 0.0123, 0.0346},
		{0.0382, 0.0029, 0.0217},
		{0.0261, -0.03, 0.003},
		{-0.0088, -0.022, -0.0283},
		{-0.0272, -0.0121, -0.0363},
		{-0.0664, -0.0622, 0.0144},
		{0.0414, 0.0479, 0.0529},
		{0.0355, 0.0612, -0.0247},
		{0.0147, 0.0264, 0.0174},
		{0.0438, 0.0038, 0.0542},
		{0.0431, -0.0573, -0.0033},
		{-0.0162, -0.0211, -0.0406},
		{-0.0487, -0.0295, -0.0393},
		{0.0005, -0.0109, 0.0253},
		{0.0296, 0.0591, 0.0353},
		{0.0119, 0.0181, -0.0306},
		{-0.0085, -0.0362, 0.0229},
		{0.0005, -0.0106, 0.0242},
	},
	RGBBias: [3]float32{0.0456, -0.0202, -0.0644},
}

// latentRefiner is the latent format of the refiner of HunyuanImage 2.1. Upstream: latent_formats.HunyuanImage21Refiner.
var latentRefiner = sampling.LatentFormat{Channels: 64, Scale: 1.03682, Downscale: 16, Video: true, Paired: true}
