import { basename } from 'node:path';
import { TierbedError } from '../base/errors.js';
import { subgraphs } from './attribute.js';
import { GraphIndex, usesOf } from './graph.js';
import type { FunctionProto, Graph, Model, Node } from './model.js';

/** IR versions that ONNX Runtime 1.30 reads; 1 and 2 came before models said which operators they mean. */
const IR_VERSIONS = { min: 3, max: 13 } as const;

/** The newest version of ai.onnx that ONNX Runtime 1.30 knows. */
const MAX_OPSET = 26;

/** Far beyond what exporters write, and far from what the stack holds. */
const MAX_CALL_DEPTH = 500;

/** Both names of the default domain. */
const isDefaultDomain = (domain: string): boolean => domain === '' || domain === 'ai.onnx';

/**
 * Checks what the ONNX specification asks of a model's structure (docs/IR.md): versions, imported domains, names used
 * once, every input made by something, no cycle, no function that calls itself. Takes time in proportion to the model.
 *
 * @param path the model's file, for messages
 * @throws TierbedError `invalid` that names file, node and tensor
 */
export function checkModel(model: Model, path?: string): void {
  const check = new Check(model, path === undefined ? 'model' : basename(path));
  check.versions();
  check.graph(model.graph, [], 'the graph');
  check.functions();
}

class Check {
  readonly #model: Model;
  readonly #file: string;
  readonly #functions: ReadonlySet<string>;

  constructor(model: Model, file: string) {
    this.#model = model;
    this.#file = file;
    this.#functions = new Set(model.functions.map(functionKey));
  }

  versions(): void {
    const { irVersion, opsetImport } = this.#model;
    if (irVersion < IR_VERSIONS.min || irVersion > IR_VERSIONS.max) {
      throw this.#invalid(
        `has IR version ${irVersion}; supported are ${IR_VERSIONS.min} to ${IR_VERSIONS.max}`,
        'convert the model with the version converter of ONNX, or export it for an older version',
      );
    }
    if (opsetImport.length === 0) {
      throw this.#invalid('imports no operator set: it is cut short, or no ONNX model', 'export the model again');
    }
    for (const { domain, version } of opsetImport) {
      if (version < 1 || (isDefaultDomain(domain) && version > MAX_OPSET)) {
        throw this.#invalid(
          `asks for version ${version} of the operators ${domain || 'ai.onnx'}; supported are 1 to ${MAX_OPSET}`,
          'export the model for an opset that is supported',
        );
      }
    }
  }

  /** @param outer names visible from the graphs around, innermost last */
  graph(graph: Graph, outer: readonly ReadonlySet<string>[], where: string): void {
    const own = this.#ownNames(graph, where);
    const scopes = [...outer, own];
    const visible = (name: string): boolean => scopes.some((scope) => scope.has(name));
    for (const node of graph.nodes) {
      this.#node(node, this.#model.opsetImport);
      for (const name of node.inputs) {
        if (name !== '' && !visible(name)) {
          throw this.#invalid(
            `${label(node)} takes tensor ${name}, which nothing in ${where} makes`,
            'export the model again, or add the missing input, weight or node',
          );
        }
      }
      for (const inner of subgraphs(node)) this.graph(inner, scopes, `the subgraph ${inner.name} of ${label(node)}`);
    }
    for (const { name } of graph.outputs) {
      if (!visible(name))
        throw this.#invalid(`output ${name} of ${where} is made by nothing`, 'export the model again');
    }
    if (outer.length === 0 && graph.outputs.length === 0) {
      throw this.#invalid('has no output', 'declare the tensors it is for as outputs');
    }
    this.#acyclic(graph, where);
  }

  functions(): void {
    const bodies = new Map(this.#model.functions.map((f) => [functionKey(f), f]));
    if (bodies.size < this.#model.functions.length) throw this.#invalid('defines a function twice', 'keep one of them');
    const done = new Set<string>();
    const open = new Set<string>();
    const visit = (f: FunctionProto): void => {
      const key = functionKey(f);
      if (done.has(key)) return;
      if (open.has(key)) throw this.#invalid(`function ${key} calls itself`, 'export the model without recursion');
      if (open.size >= MAX_CALL_DEPTH) throw this.#invalid(`functions call one another over ${MAX_CALL_DEPTH} deep`);
      open.add(key);
      this.#functionBody(f);
      for (const callee of calls(f.nodes)) {
        const body = bodies.get(callee);
        if (body) visit(body);
      }
      open.delete(key);
      done.add(key);
    };
    for (const f of this.#model.functions) visit(f);
  }

  #functionBody(f: FunctionProto): void {
    const where = `function ${functionKey(f)}`;
    const names = new Set(f.inputs);
    for (const node of f.nodes) {
      if (node.opType === '') throw this.#invalid(`${label(node)} names no operator`, 'export the model again');
      for (const name of node.outputs) {
        if (name !== '' && names.has(name)) throw this.#twice(name, where);
        names.add(name);
      }
    }
    for (const node of f.nodes) {
      for (const name of usesOf(node)) {
        if (!names.has(name))
          throw this.#invalid(`${label(node)} of ${where} takes tensor ${name}, which nothing makes`);
      }
    }
    for (const name of f.outputs) {
      if (!names.has(name)) throw this.#invalid(`output ${name} of ${where} is made by nothing`);
    }
  }

  #ownNames(graph: Graph, where: string): ReadonlySet<string> {
    const names = new Set<string>();
    for (const { name } of graph.inputs) {
      if (name === '') throw this.#invalid(`${where} has an input without a name`, 'export the model again');
      if (names.has(name)) throw this.#twice(name, where);
      names.add(name);
    }
    const weights = new Set<string>();
    for (const name of [...graph.initializers, ...graph.sparseInitializers.map(({ values }) => values)].map(
      (t) => t.name,
    )) {
      if (name === '') throw this.#invalid(`${where} has a weight without a name`, 'export the model again');
      // An input of the same name is the older way to declare a weight.
      if (weights.has(name)) throw this.#twice(name, where);
      weights.add(name);
      names.add(name);
    }
    for (const { outputs } of graph.nodes) {
      for (const name of outputs) {
        if (name === '') continue;
        if (names.has(name)) throw this.#twice(name, where);
        names.add(name);
      }
    }
    const outputs = new Set<string>();
    for (const { name } of graph.outputs) {
      if (outputs.has(name)) throw this.#twice(name, `the outputs of ${where}`);
      outputs.add(name);
    }
    return names;
  }

  #node(node: Node, imports: Model['opsetImport']): void {
    if (node.opType === '') throw this.#invalid(`${label(node)} names no operator`, 'export the model again');
    const known = imports.some(
      ({ domain }) => domain === node.domain || (isDefaultDomain(domain) && isDefaultDomain(node.domain)),
    );
    if (known || this.#functions.has(nodeKey(node))) return;
    throw this.#invalid(
      `${label(node)} is of the domain ${node.domain || 'ai.onnx'}, which the model does not import`,
      'add the domain to opset_import, or export the model again',
    );
  }

  #acyclic(graph: Graph, where: string): void {
    const index = new GraphIndex(graph);
    if (index.order.length === graph.nodes.length) return;
    const sorted = new Set(index.order);
    // Nodes left over are on a cycle or behind one: walking back from any of them ends on a cycle.
    let at = graph.nodes.findIndex((_, i) => !sorted.has(i));
    const seen = new Map<number, number>();
    const walk: number[] = [];
    while (!seen.has(at)) {
      seen.set(at, walk.length);
      walk.push(at);
      at = index.predecessors(at).find((i) => !sorted.has(i)) as number;
    }
    const cycle = walk.slice(seen.get(at)).reverse();
    const names = cycle.slice(0, 5).map((i) => label(graph.nodes[i] as Node));
    throw this.#invalid(
      `${where} has a cycle: ${names.join(' -> ')}${cycle.length > 5 ? ' -> ...' : ''}`,
      'export the model again: a graph must not feed a node its own result',
    );
  }

  #twice(name: string, where: string): TierbedError {
    return this.#invalid(`tensor ${name} is defined twice in ${where}`, 'give each tensor a name of its own');
  }

  #invalid(what: string, fix = 'export the model again'): TierbedError {
    return new TierbedError('invalid', `${this.#file}: ${what}`, { fix });
  }
}

function label(node: Node): string {
  return `node ${node.name || node.outputs[0] || 'without a name'} (${node.opType || '?'})`;
}

function functionKey({ domain, name, overload }: FunctionProto): string {
  return [domain, name, overload].filter((part) => part !== '').join(':');
}

function nodeKey({ domain, opType, overload }: Node): string {
  return [domain, opType, overload].filter((part) => part !== '').join(':');
}

function calls(nodes: readonly Node[]): string[] {
  return nodes.flatMap((node) => [nodeKey(node), ...subgraphs(node).flatMap((graph) => calls(graph.nodes))]);
}
