export * from '../../base/checked-yaml.js';
