import { messageOf, TierbedError } from '../../base/errors.js';
import { CONFIDENCES, type ExitRule } from '../../workloads/exit-rule.js';

/**
 * When a request ends at a stage, as a deployment says it.
 *
 * @returns undefined for '': never
 * @throws TierbedError `invalid` when it is no such rule
 */
export function exitRule(json: string): ExitRule | undefined {
  if (json === '') return undefined;
  let rule: Partial<ExitRule> | null;
  try {
    rule = JSON.parse(json) as Partial<ExitRule> | null;
  } catch (error) {
    throw new TierbedError('invalid', `exit_json is not JSON: ${messageOf(error)}`);
  }
  const { scores, answer, confidence = '', threshold } = rule ?? {};
  if (
    typeof scores === 'string' &&
    typeof answer === 'string' &&
    typeof confidence === 'string' &&
    Object.hasOwn(CONFIDENCES, confidence) &&
    Number.isFinite(threshold)
  ) {
    return { scores, answer, confidence: confidence as ExitRule['confidence'], threshold: threshold as number };
  }
  throw new TierbedError('invalid', 'exit_json is not a rule of an exit', {
    fix: `Send {"scores": NAME, "answer": NAME, "confidence": ${Object.keys(CONFIDENCES).join(' | ')}, "threshold": NUMBER}.`,
  });
}
