"""An MLServer runtime around ONNX Runtime: what someone who serves ONNX models with MLServer writes."""

import onnxruntime
from mlserver import MLModel
from mlserver.codecs import NumpyCodec
from mlserver.types import InferenceRequest, InferenceResponse


class OnnxRuntime(MLModel):
    async def load(self) -> bool:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(
            self.settings.parameters.uri, options, providers=["CPUExecutionProvider"]
        )
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        feeds = {tensor.name: NumpyCodec.decode_input(tensor) for tensor in payload.inputs}
        results = self._session.run(None, feeds)
        names = [output.name for output in self._session.get_outputs()]
        outputs = [NumpyCodec.encode_output(name, value) for name, value in zip(names, results)]
        return InferenceResponse(model_name=self.name, outputs=outputs)
