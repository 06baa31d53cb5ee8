import js from "@eslint/js";
import { defineConfig } from "eslint/config";
import tseslint from "typescript-eslint";

export default defineConfig(
  { ignores: [".dependency-cruiser.cjs", "services/gen/**", "node_modules/**", ".venv/**", ".cache/**", "models/**"] },
  js.configs.recommended,
  ...tseslint.configs.strictTypeChecked,
  {
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    rules: {
      "max-lines": ["error", { max: 350 }],
      "max-lines-per-function": ["error", { max: 50, skipComments: true, skipBlankLines: true }],
      "max-params": "off",
      "@typescript-eslint/max-params": ["error", { max: 3 }],
      "@typescript-eslint/restrict-template-expressions": ["error", { allowNumber: true, allowBoolean: true }],
      "@typescript-eslint/consistent-type-imports": "error",
      "@typescript-eslint/switch-exhaustiveness-check": ["error", { considerDefaultExhaustiveForUnions: true }],
      "@typescript-eslint/no-non-null-assertion": "error",
      "@typescript-eslint/consistent-type-definitions": ["error", "type"],
      "@typescript-eslint/no-confusing-void-expression": ["error", { ignoreArrowShorthand: true, ignoreVoidReturningFunctions: true }],
      "no-restricted-syntax": [
        "error",
        { selector: "NewExpression[callee.name='Error']", message: "Throw a FarmError with a code of the table." },
        { selector: "ThrowStatement > Literal", message: "Throw a FarmError with a code of the table." },
        { selector: "ExportDefaultDeclaration", message: "Named exports only." },
      ],
      "no-console": "error",
    },
  },
  { files: ["*.config.ts"], rules: { "no-restricted-syntax": "off" } },
  {
    // The script of the operator pages runs in browsers, as it is.
    ...tseslint.configs.disableTypeChecked,
    files: ["services/coordinator/pages/assets/*.js"],
    languageOptions: {
      parserOptions: { projectService: false },
      globals: Object.fromEntries(
        ["addEventListener", "clearTimeout", "CSS", "document", "DOMParser", "EventSource", "fetch", "getSelection"]
          .concat(["location", "navigator", "setInterval", "setTimeout"])
          .map((name) => [name, "readonly"]),
      ),
    },
  },
  {
    // Every Grafana since 9 reads this form of a dashboard; the newer one only those from 12 on.
    files: ["deploy/grafana/**/*.ts", "test/**/grafana/**/*.ts"],
    rules: {
      "@typescript-eslint/no-deprecated": [
        "error",
        { allow: [{ from: "package", name: ["Dashboard", "DashboardBuilder"], package: "@grafana/grafana-foundation-sdk" }] },
      ],
    },
  },
  { files: ["test/**/*.ts"], rules: { "max-lines-per-function": "off" } },
);
