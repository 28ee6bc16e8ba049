/** One file of an entry. */
export interface CatalogueFile {
  /** Its name in the entry's folder. */
  readonly name: string;
  /** An https address that always gives the same bytes: a commit or a version is part of it. */
  readonly url: string;
  /** Its size; undefined where the publisher does not state it. */
  readonly bytes?: number;
  /**
   * The sha256 in hex. A publisher who puts its first digits into the file's name states no more than those: they guard
   * against damage, not against forgery.
   */
  readonly sha256: string;
}

/** Something public that Tierbed can get. Nothing without a licence is listed. */
export interface CatalogueEntry {
  readonly name: string;
  readonly kind: 'model' | 'data';
  readonly about: string;
  readonly licence: string;
  readonly files: readonly CatalogueFile[];
}

const github = (repository: string, commit: string, path: string): string =>
  `https://raw.githubusercontent.com/${repository}/${commit}/${path}`;

const huggingFace = (repository: string, commit: string, path: string): string =>
  `https://huggingface.co/${repository}/resolve/${commit}/${path}`;

/** Weights of torchvision: the eight digits in the file's name are the first of its sha256. */
function torchvision(name: string, about: string, digits: string): CatalogueEntry {
  const file = `${name}-${digits}.pth`;
  return {
    name: `torchvision-${name}`,
    kind: 'model',
    about: `${about}; a PyTorch file, to be saved as .safetensors for 'tierbed zoo build --weights'`,
    licence: 'BSD-3-Clause',
    files: [{ name: file, url: `https://download.pytorch.org/models/${file}`, sha256: digits }],
  };
}

/** What `tierbed fetch` gets, each from where its publisher put it. */
export const CATALOGUE: readonly CatalogueEntry[] = [
  {
    name: 'mnist-cnn',
    kind: 'model',
    about: 'digits, 6 thousand parameters, ONNX opset 8; runs on mnist-test',
    licence: 'MIT or Apache-2.0',
    files: [
      {
        name: 'opt-mnist.onnx',
        url: github('webonnx/wonnx', 'c62f5d336c152102882a163ebc1eb18e63550de8', 'data/models/opt-mnist.onnx'),
        bytes: 25_905,
        sha256: '486cf6b7d7cdb5fdce37e65537326fac02f9c9866efe1f09e3f9779e495e8624',
      },
    ],
  },
  {
    name: 'magika',
    kind: 'model',
    about: "the kind of a file from its bytes (Google's Magika, standard v3.3), 214 classes, ONNX",
    licence: 'Apache-2.0',
    files: [
      {
        name: 'model.onnx',
        url: github(
          'google/magika',
          'b141dc37f004fc922a6281a417035560b4c7aae6',
          'assets/models/standard_v3_3/model.onnx',
        ),
        bytes: 3_163_737,
        sha256: 'fe2d2eb49c5f88a9e0a6c048e15d6ffdf86235519c2afc535044de433169ec8c',
      },
    ],
  },
  {
    name: 'silero-vad',
    kind: 'model',
    about: 'speech or not, 16 kHz, recurrent, with control flow, ONNX opset 15',
    licence: 'MIT',
    files: [
      {
        name: 'silero_vad_16k_op15.onnx',
        url: github(
          'snakers4/silero-vad',
          '806dcba3f0b5d95282d0889a074954a2f8c6397b',
          'src/silero_vad/data/silero_vad_16k_op15.onnx',
        ),
        bytes: 1_289_603,
        sha256: '7ed98ddbad84ccac4cd0aeb3099049280713df825c610a8ed34543318f1b2c49',
      },
    ],
  },
  {
    name: 'bert-base-uncased',
    kind: 'model',
    about: "weights for 'tierbed zoo build bert-base --weights'",
    licence: 'Apache-2.0',
    files: [
      {
        name: 'model.safetensors',
        url: huggingFace(
          'google-bert/bert-base-uncased',
          '86b5e0934494bd15c9632b12f734a8a67f723594',
          'model.safetensors',
        ),
        bytes: 440_449_768,
        sha256: '68d45e234eb4a928074dfd868cead0219ab85354cc53d20e772753c6bb9169d3',
      },
    ],
  },
  {
    name: 'roberta-base',
    kind: 'model',
    about: "weights for 'tierbed zoo build roberta-base --weights'",
    licence: 'MIT',
    files: [
      {
        name: 'model.safetensors',
        url: huggingFace('FacebookAI/roberta-base', 'e2da8e2f811d1448a5b465c236feacd80ffbac7b', 'model.safetensors'),
        bytes: 498_818_054,
        sha256: '5bde1d28afb363d0103324efeb5afc8b2b397fe5e04beabb9b1ef355255ade81',
      },
    ],
  },
  torchvision('wide_resnet101_2', 'ImageNet weights, version 1, of the published study', '32ee1156'),
  torchvision('wide_resnet50_2', 'ImageNet weights, version 1, of its student', '95faca4d'),
  torchvision('resnext101_64x4d', 'ImageNet weights of the published study', '173b62eb'),
  torchvision('resnext50_32x4d', 'ImageNet weights, version 1, of its student', '7cdf4587'),
  {
    name: 'mnist-test',
    kind: 'data',
    about: "MNIST's 10,000 test digits; read by the loader idx",
    licence: 'CC BY-SA 3.0',
    files: [
      {
        name: 't10k-images-idx3-ubyte.gz',
        url: 'https://storage.googleapis.com/cvdf-datasets/mnist/t10k-images-idx3-ubyte.gz',
        bytes: 1_648_877,
        sha256: '8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6',
      },
      {
        name: 't10k-labels-idx1-ubyte.gz',
        url: 'https://storage.googleapis.com/cvdf-datasets/mnist/t10k-labels-idx1-ubyte.gz',
        bytes: 4_542,
        sha256: 'f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6',
      },
    ],
  },
  {
    name: 'speech-commands-test',
    kind: 'data',
    about: 'Speech Commands 0.02, the test set of 12 classes as WAV files, packed',
    licence: 'CC BY 4.0',
    files: [
      {
        name: 'speech_commands_test_set_v0.02.tar.gz',
        url: 'https://storage.googleapis.com/download.tensorflow.org/data/speech_commands_test_set_v0.02.tar.gz',
        bytes: 112_563_277,
        sha256: 'cc2a00c1147c2254e9be3fa0f779d8c17421dc349b86366567a8edfa9acd51df',
      },
    ],
  },
];
